"""One task or workflow gets its outcome; what follows for others is not settled here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import JsonValue

from mycelium.errors import StoreDamaged
from mycelium.models import OPEN, TASKS, WORKFLOWS, Spent, Task, TaskStatus, Workflow, WorkflowStatus
from mycelium.rules.draft import Draft, about, about_workflow

OMITTED: Final = 200
"""Characters of an error that an event tells."""


def end_task(draft: Draft, task: Task, status: TaskStatus, **fields: object) -> Task:
    """Put a task with its outcome into the draft, without an event."""
    return draft.put(
        task.changed(
            status=status, blocked=False, paused=False, lease=None, updated_at=draft.view.now,
            spent=spent_by(draft, task), **fields,
        )
    )  # fmt: skip


def spent_by(draft: Draft, task: Task) -> Spent | None:
    """What the task has used up, with the seconds of the attempt that ends now."""
    if task.budget is None or task.started_at is None or task.status != "running":
        return task.spent
    before = task.spent or Spent()
    seconds = max(0.0, (draft.view.now - task.started_at).total_seconds())
    return before.model_copy(update={"seconds": before.seconds + seconds})


def cancel(draft: Draft, task: Task, *, reason: str | None, by: str | None) -> list[Task]:
    """Call an open task off, with everything that is done for it. All that ended."""
    cancelled = end_task(draft, task, "cancelled", error={"error": reason} if reason else None)
    draft.event(TASKS, "task.cancelled", by, **about(cancelled), holder=task.agent, reason=reason)
    return [cancelled, *call_off(draft, task, reason=f"{task.id} cancelled")]


def skip(draft: Draft, task: Task, because: str | None) -> Task:
    """Put a task that will never run into the draft."""
    skipped = task.changed(status="skipped", blocked=False, paused=False, updated_at=draft.view.now)
    draft.event(TASKS, "task.skipped", None, **about(task), because=because)
    return draft.put(skipped)


def call_off(draft: Draft, task: Task, *, reason: str) -> list[Task]:
    """End the workflow that does this task, since the task has its outcome. All tasks that ended with it."""
    workflow = draft.get(Workflow, task.runs) if task.runs is not None and task.status == "running" else None
    if workflow is None or not workflow.going_on or workflow.status == "compensating":
        return []  # what has begun to be undone is undone to its end
    close_workflow(draft, workflow, "cancelled", None, error={"error": reason})
    return [
        each for open_task in open_tasks(draft, workflow) for each in cancel(draft, open_task, reason=reason, by=None)
    ]


def tasks_of(draft: Draft, workflow: Workflow) -> list[Task]:
    """All tasks of a workflow as the draft has them, in their order."""
    draft.read(Task, workflow.tasks)
    return [task for key in workflow.tasks if (task := draft.get(Task, key)) is not None]


def readable_tasks_of(draft: Draft, workflow: Workflow) -> list[Task]:
    """The same, or none where a record among them is damaged: what has ended must not wait for its mending."""
    try:
        return tasks_of(draft, workflow)
    except StoreDamaged:
        return []


def open_tasks(draft: Draft, workflow: Workflow) -> Iterable[Task]:
    """Those of them that have no outcome."""
    return [task for task in tasks_of(draft, workflow) if task.status in OPEN]


def close_workflow(
    draft: Draft, workflow: Workflow, status: WorkflowStatus, source: str | None, **fields: object
) -> Workflow:
    """Put the workflow's outcome into the draft."""
    if status == "completed":
        fields = {"progress": 1.0, **fields}
    closed = draft.put(
        workflow.changed(status=status, current_task=None, timeout_at=None, updated_at=draft.view.now, **fields)
    )
    error = brief(closed.error) if status == "failed" and closed.error else None
    draft.event(WORKFLOWS, f"workflow.{status}", source, **about_workflow(workflow), error=error)
    return closed


def brief(error: dict[str, JsonValue]) -> str:
    """As much of an error as an event tells."""
    return str(error.get("error", error))[:OMITTED]
