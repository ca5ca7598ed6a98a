"""What follows when a task has its outcome: those that wait on it, and the workflow around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from mycelium.models import OPEN, TASKS, WORKFLOWS, RunWhen, Task, TaskStatus, Workflow, WorkflowStatus
from mycelium.rules.view import Draft, Waiter, about


def settle(draft: Draft, *tasks: Task) -> None:
    """Unblock or skip the tasks that wait on these, and on those skipped, and finish workflows that are done."""
    settled: dict[str, Task] = {}
    generation = list(tasks)
    while generation:
        # The store knows nobody who waits on a task that this very change creates.
        known = [task.id for task in generation if task.version > 1]
        waiters = dict(zip(known, draft.view.waiters(known), strict=True))
        following: list[Task] = []
        for task in generation:
            settled[task.id] = task  # not sooner: who also waits on it is decided when its own turn comes
            following.extend(_release_waiters(draft, task, waiters.get(task.id, ()), settled))
        generation = following
    for workflow_id in dict.fromkeys(task.workflow_id for task in settled.values() if task.workflow_id):
        _close_workflow(draft, workflow_id, [task for task in settled.values() if task.workflow_id == workflow_id])


def _release_waiters(draft: Draft, task: Task, waiters: Sequence[Waiter], settled: dict[str, Task]) -> Iterable[Task]:
    """Decide about everyone that waits on `task`; yield those that will never run."""
    verdicts = {
        waiter.task_id: _verdict(draft, waiter.task_id, waiter.run_when, task.status, settled) for waiter in waiters
    }
    decided = [key for key, verdict in verdicts.items() if verdict is not None]
    draft.read(Task, decided)
    for key in decided:
        verdict, waiting = verdicts[key], draft.get(Task, key)
        if waiting is None or not waiting.blocked:
            continue
        now = draft.view.now
        if verdict == "skipped":
            skipped = waiting.changed(status="skipped", blocked=False, updated_at=now)
            draft.event(TASKS, "task.skipped", None, **about(waiting), because=task.id)
            yield draft.put(skipped)
        else:
            later = waiting.not_before if waiting.not_before and waiting.not_before > now else None
            draft.put(waiting.changed(blocked=False, not_before=later, updated_at=now))
            if later is None:
                draft.event(TASKS, "task.ready", None, **about(waiting))


def _verdict(
    draft: Draft, waiter: str, run_when: RunWhen, status: TaskStatus, settled: dict[str, Task]
) -> Literal["ready", "skipped"] | None:
    """What becomes of a waiter when one of its dependencies ends with `status`; None if it waits on."""
    if run_when == "all_succeeded" and status != "completed":
        return "skipped"
    if run_when == "any_failed" and status == "failed":
        return "ready"
    if draft.view.waits_on_others(waiter, settled.keys()):
        return None
    return "skipped" if run_when == "any_failed" else "ready"


def _close_workflow(draft: Draft, workflow_id: str, settled: list[Task]) -> None:
    """Give the workflow its outcome if these were its last open tasks."""
    workflow = draft.get(Workflow, workflow_id)
    if workflow is None or workflow.status != "running":
        return
    besides = {task.id for task in settled}
    if draft.view.workflow_has(workflow_id, OPEN, besides):
        return

    def any_is(status: TaskStatus) -> bool:
        return any(task.status == status for task in settled) or draft.view.workflow_has(workflow_id, {status}, besides)

    outcome = "failed" if any_is("failed") else "cancelled" if any_is("cancelled") else "completed"
    close_workflow(draft, workflow, outcome, source=None)


def close_workflow(
    draft: Draft, workflow: Workflow, status: WorkflowStatus, source: str | None, **fields: object
) -> Workflow:
    """Put the workflow's outcome into the draft."""
    if status == "completed":
        fields = {"progress": 1.0, **fields}
    closed = draft.put(workflow.changed(status=status, current_task=None, updated_at=draft.view.now, **fields))
    draft.event(WORKFLOWS, f"workflow.{status}", source, workflow_id=workflow.id, workflow_type=workflow.type)
    return closed
