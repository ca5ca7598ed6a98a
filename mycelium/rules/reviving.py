"""What was not completed of a workflow begins anew, with all that was begun within it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from graphlib import TopologicalSorter

from mycelium.errors import IllegalTransition
from mycelium.models import TASKS, WORKFLOWS, Task, Workflow
from mycelium.rules.adding import standing, unblock
from mycelium.rules.declaring import UNDO
from mycelium.rules.draft import Draft, about, about_workflow
from mycelium.rules.ending import skip, tasks_of


def revive(draft: Draft, workflow: Workflow, by: str | None) -> list[Task]:
    """Begin anew; the tasks that have their outcome at once."""
    if was_undone(workflow):
        raise not_retried(workflow, "What it did was undone: create a new workflow.")
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


def revive_task(draft: Draft, task: Task, by: str | None) -> list[Task]:
    """Begin a task anew that is part of no workflow; the tasks that have their outcome at once."""
    fresh = draft.put(_fresh(draft, task))
    draft.event(TASKS, "task.retried", by, **about(task))
    return _placed(draft, fresh, by)


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
    freed = unblock(draft, task)
    return [] if freed.open else [freed]


def _in_order(tasks: Iterable[Task]) -> Iterable[str]:
    """The ids, each after those it depends on."""
    ids = {task.id: task for task in tasks}
    graph = {key: [other for other in task.depends_on if other in ids] for key, task in ids.items()}
    return TopologicalSorter(graph).static_order()


def revive_holder(draft: Draft, task: Task, inner: Workflow) -> list[Task]:
    """Go on with the workflow that does this task, which has ended badly before. Tasks that have ended at once."""
    now = draft.view.now
    draft.put(task.changed(status="running", blocked=False, started_at=now, attempt=1))
    draft.event(TASKS, "task.started", None, **about(task), runs=inner.id, attempt=1)
    return revive(draft, inner, None)


def was_undone(workflow: Workflow) -> bool:
    """Whether what it did was taken back, or some of it."""
    return workflow.on_failure == "compensate" and any(key.endswith(f".{UNDO}") for key in workflow.tasks)


def not_retried(workflow: Workflow, hint: str) -> IllegalTransition:
    return IllegalTransition(
        f"Workflow {workflow.id} is {workflow.status} and cannot be retried.",
        hint=hint,
        workflow_id=workflow.id,
        status=workflow.status,
    )
