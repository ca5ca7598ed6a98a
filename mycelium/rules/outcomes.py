"""How a task ends, by its holder, by anybody who calls it off, or by time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import JsonValue

from mycelium.models import TASKS, Task
from mycelium.rules.adding import let_go
from mycelium.rules.budgets import over_seconds, require_report
from mycelium.rules.draft import Draft, about
from mycelium.rules.ending import brief, call_off, cancel, end_task, spent_by
from mycelium.rules.health import note_failure, note_success
from mycelium.rules.leases import finished, held, if_held, unheld
from mycelium.rules.settle import settle
from mycelium.rules.view import Change, View, require

MAX_BACKOFF: Final = 3600.0
"""Seconds that a retry is put off at most."""
MAX_LOST: Final = 10
"""So many attempts more than its own may be lost with their holders, until the task is taken for what loses them."""


def complete_task(view: View, task_id: str, *, token: int | None, result: dict[str, JsonValue] | None) -> Change[Task]:
    """Give the task its result. Twice with the same token is once."""
    task = require(view, Task, task_id)
    if task.status == "completed" and task.token == token:
        return Change(task)
    if_held(task, token)
    require_report(task)
    draft = Draft(view)
    done = end_task(draft, task, "completed", progress=1.0, result=result, error=None)
    draft.event(TASKS, "task.completed", task.agent, **about(done))
    note_success(draft, task.agent)
    settle(draft, done)
    return draft.change(done)


def fail_task(view: View, task_id: str, *, token: int | None, error: dict[str, JsonValue], retry: bool) -> Change[Task]:
    """Record a failure: pending again after a pause while attempts are left and `retry` is true, else failed."""
    task = require(view, Task, task_id)
    if task.status == "failed" and task.token == token:
        return Change(task)
    if_held(task, token)
    draft = Draft(view)
    return draft.change(failed(draft, task, error=error, retry=retry, source=task.agent))


def failed(draft: Draft, task: Task, *, error: dict[str, JsonValue], retry: bool, source: str | None) -> Task:
    """Put a failed attempt into the draft, with everything that follows.

    Where another attempt would go no better, the fault is the task's, and does not count against its holder.
    """
    if retry:
        note_failure(draft, task.agent)
    if retry and task.attempt < task.max_attempts:
        return _retry(draft, task, error=error, source=source)
    return _failed_for_good(draft, task, error=error, source=source)


def _failed_for_good(draft: Draft, task: Task, *, error: dict[str, JsonValue], source: str | None) -> Task:
    outcome = end_task(draft, task, "failed", error=error)
    draft.event(TASKS, "task.failed", source, **about(outcome), attempt=task.attempt, error=brief(error))
    settle(draft, outcome, *call_off(draft, task, reason=f"{task.id} failed"))
    return outcome


def _retry(draft: Draft, task: Task, *, error: dict[str, JsonValue], source: str | None) -> Task:
    now = draft.view.now
    pause = timedelta(seconds=min(task.retry_backoff * 2 ** min(task.attempt - 1, 30), MAX_BACKOFF))
    at = now + pause if pause else None
    pending = draft.put(unheld(task, now, error=error, not_before=at, spent=spent_by(draft, task)))
    draft.event(
        TASKS, "task.retrying", source, **about(pending),
        attempt=task.attempt, error=brief(error), at=at.isoformat() if at else None,
    )  # fmt: skip
    return pending


def cancel_task(
    view: View, task_id: str, *, reason: str | None, by: str | None, token: int | None = None
) -> Change[Task]:
    """Call a task off, whoever holds it; with a token, only while that lease is current. Twice is once."""
    task = require(view, Task, task_id)
    if task.status == "cancelled":
        return Change(task)
    if token is not None:
        held(view, task_id, token)
    if not task.open:
        raise finished(task, "cancelled")
    draft = Draft(view)
    ended = cancel(draft, task, reason=reason, by=by)
    settle(draft, *ended)
    return draft.change(ended[0])


def expire_task(view: View, task_id: str) -> Change[Task | None]:
    """Do what time has brought upon this task: a timeout, the end of its lease, or the end of its wait."""
    task = view.get(Task, task_id)
    if task is None or task.due_at is None or task.due_at > view.now:
        return Change(None)
    draft = Draft(view)
    if task.status == "pending":
        return draft.change(_woken(draft, task))
    if task.times_out_at is not None and task.times_out_at <= view.now:
        return draft.change(_timed_out(draft, task))
    if task.attempt >= task.max_attempts + MAX_LOST:
        lost: dict[str, JsonValue] = {"error": f"lost with its holder, at attempt {task.attempt}", "code": "lost"}
        return draft.change(_failed_for_good(draft, task, error=lost, source=None))
    pending = draft.put(unheld(task, view.now, spent=spent_by(draft, task)))
    draft.event(TASKS, "task.expired", None, **about(task), holder=task.agent, attempt=task.attempt)
    return draft.change(pending)


def _woken(draft: Draft, task: Task) -> Task:
    woken = draft.put(task.changed(not_before=None))
    let_go(draft, woken)
    settle(draft)
    return woken


def _timed_out(draft: Draft, task: Task) -> Task:
    if (excess := over_seconds(draft, task)) is not None:
        return failed(draft, task, error=excess, retry=False, source=None)
    late: dict[str, JsonValue] = {"error": f"timed out after {task.timeout_seconds:g} seconds", "code": "timed_out"}
    return failed(draft, task, error=late, retry=True, source=None)
