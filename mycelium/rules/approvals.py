"""A person says yes or no to a task."""

from __future__ import annotations

from mycelium.errors import IllegalTransition
from mycelium.models import TASKS, Approval, Task
from mycelium.rules.adding import let_go, to_come
from mycelium.rules.draft import Draft, about
from mycelium.rules.ending import cancel
from mycelium.rules.leases import finished
from mycelium.rules.settle import settle
from mycelium.rules.view import Change, View, require


def approve_task(view: View, task_id: str, *, by: str, note: str = "") -> Change[Task]:
    """A person's yes. It may come before the task's dependencies have ended; twice is once.

    Raises:
        IllegalTransition: nobody asked, or the task has its outcome.
    """
    task = _asked(view, task_id, "approved")
    if task.approved is not None:
        return Change(task)
    draft = Draft(view)
    said = Approval(by=by, at=view.now, note=note)
    approved = draft.put(task.changed(approved=said, not_before=to_come(task, view.now), updated_at=view.now))
    draft.event(TASKS, "task.approved", None, **about(task), by=by, note=note or None)
    let_go(draft, approved)
    settle(draft)
    return draft.change(draft.get(Task, task.id) or approved)


def reject_task(view: View, task_id: str, *, by: str, note: str = "") -> Change[Task]:
    """A person's no: the task is cancelled, and what needs it is skipped.

    Raises:
        IllegalTransition: nobody asked, it was approved, or the task has its outcome.
    """
    task = _asked(view, task_id, "rejected")
    if task.approved is not None:
        raise IllegalTransition(
            f"{task.id} was approved by {task.approved.by}.",
            hint="Cancel it, if it should not be done after all.",
            task_id=task.id,
            by=task.approved.by,
        )
    draft = Draft(view)
    said = f"rejected by {by}" + (f": {note}" if note else "")
    draft.event(TASKS, "task.rejected", None, **about(task), by=by, note=note or None)
    ended = cancel(draft, task, reason=said, by=None)
    settle(draft, *ended)
    return draft.change(ended[0])


def _asked(view: View, task_id: str, wanted: str) -> Task:
    task = require(view, Task, task_id)
    if not task.open:
        raise finished(task, wanted)
    if task.approval is None:
        raise IllegalTransition(
            f"{task.id} does not ask for approval.",
            hint="Create the task with approval, if a person is to be asked.",
            task_id=task.id,
        )
    return task
