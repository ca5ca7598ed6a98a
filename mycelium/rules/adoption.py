"""Records that come as another copy of the store wrote them, or go, past the rules; and what follows from that."""

from __future__ import annotations

from mycelium.models import AGENTS, TASKS, WORKFLOWS, Agent, Record, Task, Workflow
from mycelium.rules.adding import standing, unblock
from mycelium.rules.draft import Draft, about
from mycelium.rules.settle import settle, skip
from mycelium.rules.view import Change, View, require


def adopt(view: View, records: list[Record], *, told: frozenset[tuple[str, str]]) -> Change[None]:
    """Take records over as another copy of this store wrote them; an event tells of those that none has told of."""
    draft = Draft(view)
    for record in records:
        draft.put(record)
        if (record.kind, record.key) in told:
            continue
        match record:
            case Task():
                draft.event(TASKS, "task.adopted", None, **about(record), status=record.status)
            case Workflow():
                draft.event(
                    WORKFLOWS, "workflow.adopted", None,
                    workflow_id=record.id, workflow_type=record.type, status=record.status,
                )  # fmt: skip
            case Agent():
                draft.event(AGENTS, "agent.status", None, agent=record.name, status=record.status)
            case _:
                raise TypeError(type(record))
    return draft.change(None)


def forget(view: View, record: Task | Workflow) -> Change[None]:
    """Tell that a record is gone, as its file was removed. What waits on a task goes on waiting: it may come back."""
    draft = Draft(view)
    if isinstance(record, Task):
        draft.event(TASKS, "task.removed", None, **about(record), status=record.status)
    else:
        draft.event(WORKFLOWS, "workflow.removed", None, workflow_id=record.id, workflow_type=record.type)
    return draft.change(None)


def heal_task(view: View, task_id: str) -> Change[None]:
    """Draw the consequences for a task that was taken over: what waits on it, or what it waits for, may have ended."""
    task = require(view, Task, task_id)
    draft = Draft(view)
    if not task.open:
        settle(draft, task)
    elif task.blocked and not view.waits_on_others(task.id, frozenset()):
        _unblocked(draft, task)
    return draft.change(None)


def _unblocked(draft: Draft, task: Task) -> None:
    found = [other for other in draft.view.get_all(Task, task.depends_on) if other]
    start = standing(task, [other.status for other in found])
    if start.get("status") == "skipped":
        settle(draft, skip(draft, task, because=None))
    elif not start["blocked"]:
        freed = unblock(draft, task)
        settle(draft, *([] if freed.open else [freed]))
