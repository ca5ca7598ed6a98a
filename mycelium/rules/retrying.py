"""A workflow that ended badly goes on from where it failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from graphlib import TopologicalSorter

from mycelium.errors import IllegalTransition
from mycelium.models import TASKS, WORKFLOWS, Task, Workflow
from mycelium.rules.adding import standing, unblock
from mycelium.rules.declaring import UNDO
from mycelium.rules.draft import Draft, about, about_workflow
from mycelium.rules.ending import tasks_of
from mycelium.rules.settle import settle, skip
from mycelium.rules.view import Change, View, require


def retry_workflow(view: View, workflow_id: str, *, by: str | None) -> Change[Workflow]:
    """Do again whatever of a failed or cancelled workflow was not completed, with all its attempts.

    Raises:
        IllegalTransition: it goes on, was completed or undone, or is part of another one.
    """
    workflow = require(view, Workflow, workflow_id)
    if (hint := _obstacle(workflow)) is not None:
        raise _refused(workflow, hint)
    draft = Draft(view)
    settle(draft, *_again(draft, workflow, by))
    return draft.change(draft.get(Workflow, workflow.id) or workflow)


def _refused(workflow: Workflow, hint: str) -> IllegalTransition:
    return IllegalTransition(
        f"Workflow {workflow.id} is {workflow.status} and cannot be retried.",
        hint=hint,
        workflow_id=workflow.id,
        status=workflow.status,
    )


def _obstacle(workflow: Workflow) -> str | None:
    if workflow.going_on:
        return "It goes on; wait for its outcome, or cancel it first."
    if workflow.status == "completed":
        return "Create a new workflow if the work is to be done again."
    if workflow.parent is not None:
        return f"It does the task {workflow.parent}: retry the workflow of that."
    if not workflow.tasks:
        return "It was driven by hand: create a new workflow."
    return None


def _again(draft: Draft, workflow: Workflow, by: str | None) -> list[Task]:
    """Begin anew; the tasks that have their outcome at once."""
    if workflow.on_failure == "compensate" and any(key.endswith(f".{UNDO}") for key in workflow.tasks):
        raise _refused(workflow, "What it did was undone: create a new workflow.")
    now, limit = draft.view.now, workflow.timeout_seconds
    until = None if limit is None else now + timedelta(seconds=limit)
    tasks = tasks_of(draft, workflow)
    undone = [task for task in tasks if task.status != "completed"]
    draft.put(
        workflow.changed(status="running", error=None, result=None, timeout_at=until, progress=0.0, updated_at=now)
    )
    draft.event(WORKFLOWS, "workflow.retried", by, **about_workflow(workflow), tasks=len(undone))
    fresh = {task.id: draft.put(_fresh(draft, task)) for task in undone}
    ended: list[Task] = []
    for key in _in_order(undone):
        ended += _placed(draft, fresh[key], by)
    return ended


def _fresh(draft: Draft, task: Task) -> Task:
    """The task as if nobody had tried it yet."""
    payload = task.payload if task.template is None else task.template
    return task.changed(
        status="pending", blocked=True, paused=False, attempt=0, progress=0.0, payload=payload, started_at=None,
        not_before=None if task.attempt else task.not_before,  # the pause before another attempt is over
        result=None, error=None, spent=None, updated_at=draft.view.now,
    )  # fmt: skip


def _placed(draft: Draft, task: Task, by: str | None) -> list[Task]:
    """Let a task begin or wait, as its dependencies say; what has ended with that."""
    draft.read(Task, task.depends_on)
    others = [other for key in task.depends_on if (other := draft.get(Task, key)) is not None]
    wanted = standing(task, [other.status for other in others])
    if wanted.get("status") == "skipped":
        return [skip(draft, task, because=None)]
    if wanted["blocked"]:
        return []
    inner = draft.get(Workflow, task.runs) if task.runs is not None else None
    if inner is not None and inner.status in {"failed", "cancelled"}:
        now = draft.view.now
        draft.put(task.changed(status="running", blocked=False, started_at=now, attempt=1))
        draft.event(TASKS, "task.started", None, **about(task), runs=inner.id, attempt=1)
        return _again(draft, inner, by)
    freed = unblock(draft, task)
    return [] if freed.open else [freed]


def _in_order(tasks: Iterable[Task]) -> Iterable[str]:
    """The ids, each after those it depends on."""
    ids = {task.id: task for task in tasks}
    graph = {key: [other for other in task.depends_on if other in ids] for key, task in ids.items()}
    return TopologicalSorter(graph).static_order()
