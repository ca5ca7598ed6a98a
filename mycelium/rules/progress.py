"""What the holder of a task says while the work goes on."""

from __future__ import annotations

from mycelium.models import TASKS, Task
from mycelium.rules.budgets import after, excess
from mycelium.rules.draft import Draft, about
from mycelium.rules.ending import spent_by
from mycelium.rules.leases import held, renewed, unheld
from mycelium.rules.outcomes import failed
from mycelium.rules.view import Change, View


def update_task(
    view: View,
    task_id: str,
    *,
    token: int | None,
    progress: float | None = None,
    note: str | None = None,
    tokens: int | None = None,
    turns: int | None = None,
) -> Change[Task]:
    """Say how far the work is and what more it took, and renew the lease. Over its budget the task fails."""
    task = held(view, task_id, token)
    draft = Draft(view)
    fields: dict[str, object] = {"lease": renewed(task, view.now)}
    if progress is not None:
        fields["progress"] = progress
    if note is not None:
        fields["note"] = note
    if tokens is not None or turns is not None:
        fields["spent"] = after(task, tokens=tokens, turns=turns)
    updated = draft.put(task.changed(**fields, updated_at=view.now))
    if len(fields) > 1:
        draft.event(
            TASKS, "task.progress", task.agent, **about(task),
            progress=updated.progress, note=note, tokens=tokens, turns=turns,
        )  # fmt: skip
    if (error := excess(updated)) is not None:
        return draft.change(failed(draft, updated, error=error, retry=False, source=None))
    return draft.change(updated)


def release_task(view: View, task_id: str, *, token: int | None, note: str | None = None) -> Change[Task]:
    """Give the task back for others to claim. It was not tried, so the attempt does not count."""
    task = held(view, task_id, token)
    draft = Draft(view)
    said = task.note if note is None else note
    released = draft.put(unheld(task, view.now, note=said, attempt=task.attempt - 1, spent=spent_by(draft, task)))
    draft.event(TASKS, "task.released", task.agent, **about(task), note=note)
    return draft.change(released)
