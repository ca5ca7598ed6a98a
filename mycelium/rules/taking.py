"""Records that were made elsewhere come into a store as they are."""

from __future__ import annotations

from collections.abc import Sequence

from mycelium.errors import Conflict
from mycelium.models import TASKS, WORKFLOWS, Agent, Event, Record, Task, Trigger, Workflow
from mycelium.rules.draft import Draft, about
from mycelium.rules.view import Change, View


def take_over(view: View, records: Sequence[Record], history: Sequence[Event]) -> Change[None]:
    """Put the records of another store here, with its log.

    Raises:
        Conflict: one of them is here already.
    """
    _check_free(view, records, "Import into a new store.")
    return Change(None, puts=records, history=history)


def take_in(view: View, records: Sequence[Task | Workflow]) -> Change[None]:
    """Put tasks and workflows here that no log tells of, with events that do.

    Raises:
        Conflict: one of them is here already.
    """
    _check_free(view, records, "Import into another store, or give it another id there.")
    draft = Draft(view)
    for record in records:
        draft.put(record)
        if isinstance(record, Task):
            _tell_of_task(draft, record)
        else:
            _tell_of_workflow(draft, record)
    return draft.change(None)


def _check_free(view: View, records: Sequence[Record], hint: str) -> None:
    for kind in (Task, Agent, Workflow, Trigger):
        keys = [record.key for record in records if isinstance(record, kind)]
        taken = next((found for found in view.get_all(kind, keys) if found is not None), None)
        if taken is not None:
            raise Conflict(f"{taken.kind} {taken.key} exists.", hint=hint, id=taken.key)


def _tell_of_task(draft: Draft, task: Task) -> None:
    ready = task.ready(draft.view.now) or None
    draft.event(TASKS, "task.created", task.created_by, **about(task), title=task.title or None, ready=ready)
    match task.status:
        case "completed":
            draft.event(TASKS, "task.completed", task.created_by, **about(task))
        case "failed":
            draft.event(TASKS, "task.failed", task.created_by, **about(task))
        case "cancelled":
            draft.event(TASKS, "task.cancelled", task.created_by, **about(task))
        case "skipped":
            draft.event(TASKS, "task.skipped", None, **about(task))
        case _:
            pass


def _tell_of_workflow(draft: Draft, workflow: Workflow) -> None:
    draft.event(
        WORKFLOWS, "workflow.created", workflow.created_by,
        workflow_id=workflow.id, workflow_type=workflow.type, tasks=len(workflow.tasks),
    )  # fmt: skip
    if workflow.status != "running":
        draft.event(
            WORKFLOWS, f"workflow.{workflow.status}", workflow.created_by,
            workflow_id=workflow.id, workflow_type=workflow.type,
        )  # fmt: skip
