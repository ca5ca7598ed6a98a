"""How a task ends, by its holder, by anybody who calls it off, or by time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import JsonValue

from mycelium.models import TASKS, Task, TaskStatus
from mycelium.rules.leases import finished, held, unheld
from mycelium.rules.settle import settle
from mycelium.rules.view import Change, Draft, View, about, require

MAX_BACKOFF: Final = 3600.0
"""Seconds that a retry is put off at most."""


def complete_task(view: View, task_id: str, *, token: int | None, result: dict[str, JsonValue] | None) -> Change[Task]:
    """Give the task its result. Twice with the same token is once."""
    task = view.get(Task, task_id)
    if task is not None and task.status == "completed" and task.token == token:
        return Change(task)
    task = held(view, task_id, token)
    draft = Draft(view)
    done = _finish(draft, task, "completed", progress=1.0, result=result, error=None)
    draft.event(TASKS, "task.completed", task.agent, **about(done))
    settle(draft, done)
    return draft.change(done)


def fail_task(view: View, task_id: str, *, token: int | None, error: dict[str, JsonValue], retry: bool) -> Change[Task]:
    """Record a failure: pending again after a pause while attempts are left and `retry` is true, else failed."""
    task = view.get(Task, task_id)
    if task is not None and task.status == "failed" and task.token == token:
        return Change(task)
    task = held(view, task_id, token)
    draft = Draft(view)
    return draft.change(failed(draft, task, error=error, retry=retry, source=task.agent))


def failed(draft: Draft, task: Task, *, error: dict[str, JsonValue], retry: bool, source: str | None) -> Task:
    """Put a failed attempt into the draft."""
    if retry and task.attempt < task.max_attempts:
        return _retry(draft, task, error=error, source=source)
    outcome = _finish(draft, task, "failed", error=error)
    draft.event(TASKS, "task.failed", source, **about(outcome), attempt=task.attempt, error=_brief(error))
    settle(draft, outcome)
    return outcome


def _retry(draft: Draft, task: Task, *, error: dict[str, JsonValue], source: str | None) -> Task:
    now = draft.view.now
    pause = timedelta(seconds=min(task.retry_backoff * 2 ** min(task.attempt - 1, 30), MAX_BACKOFF))
    at = now + pause if pause else None
    pending = draft.put(unheld(task, now, error=error, not_before=at))
    draft.event(
        TASKS, "task.retrying", source, **about(pending),
        attempt=task.attempt, error=_brief(error), at=at.isoformat() if at else None,
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
    cancelled = cancel(draft, task, reason=reason, by=by)
    settle(draft, cancelled)
    return draft.change(cancelled)


def cancel(draft: Draft, task: Task, *, reason: str | None, by: str | None) -> Task:
    """Put a cancelled task into the draft; what waits on it is not settled here."""
    cancelled = _finish(draft, task, "cancelled", error={"error": reason} if reason else None)
    draft.event(TASKS, "task.cancelled", by, **about(cancelled), holder=task.agent, reason=reason)
    return cancelled


def expire_task(view: View, task_id: str) -> Change[Task | None]:
    """Do what time has brought upon this task: a timeout, the end of its lease, or the end of its wait."""
    task = view.get(Task, task_id)
    if task is None or task.due_at is None or task.due_at > view.now:
        return Change(None)
    draft = Draft(view)
    if task.lease is None:
        woken = draft.put(task.changed(not_before=None))
        draft.event(TASKS, "task.ready", None, **about(task))
        return draft.change(woken)
    if task.times_out_at is not None and task.times_out_at <= view.now:
        error: dict[str, JsonValue] = {"error": f"timed out after {task.timeout_seconds:g} seconds"}
        return draft.change(failed(draft, task, error=error, retry=True, source=None))
    pending = draft.put(unheld(task, view.now))
    draft.event(TASKS, "task.expired", None, **about(task), holder=task.lease.agent, attempt=task.attempt)
    return draft.change(pending)


def _finish(draft: Draft, task: Task, status: TaskStatus, **fields: object) -> Task:
    now = draft.view.now
    return draft.put(task.changed(status=status, blocked=False, lease=None, updated_at=now, **fields))


def _brief(error: dict[str, JsonValue]) -> str:
    return str(error.get("error", error))[:200]
