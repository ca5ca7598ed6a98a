"""Tasks come into being, and one that waits on no other any more is let go."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium.errors import Conflict, DependencyCycle, UnknownDependency
from mycelium.models import (
    MAX_JSON_BYTES,
    OPEN,
    TASKS,
    Task,
    TaskSpec,
    TaskStatus,
    Workflow,
)
from mycelium.rules.draft import Draft, about
from mycelium.rules.ending import brief
from mycelium.rules.values import Look, Unresolved, holds, refers, resolve
from mycelium.rules.view import Terms

OF_WORKFLOW = "workflow"
"""Where references to the workflow around a task begin."""
MAX_SAID = 500
"""Characters that are told of why a value cannot be had: names in it may come from results."""


def add_task(
    draft: Draft,
    spec: TaskSpec,
    *,
    id: str,
    created_by: str | None,
    workflow_id: str | None = None,
    **more: object,
) -> Task:
    """Put a new task into the draft, blocked, skipped or let go as its dependencies say.

    References in it are exact already. `more` are fields of the task that no spec has.
    """
    if more.get("for_each") is None and more.get("workflow") is None:
        spec = on_terms(spec, draft.view.terms)  # else they are those of the tasks within
    dependencies = tuple(dict.fromkeys(spec.depends_on))
    draft.read(Task, dependencies)
    found = {key: draft.get(Task, key) for key in dependencies}
    if id in found:
        raise DependencyCycle([id, id])
    _check_key(draft, spec.idempotency_key)
    if missing := [key for key, task in found.items() if task is None]:
        raise UnknownDependency(missing)
    now = draft.view.now
    fields = {**standing(spec, [task.status for task in found.values() if task]), **more}
    if spec.not_before is not None and spec.not_before <= now:
        fields["not_before"] = None
    if workflow_id is not None:
        fields["workflow_id"] = workflow_id
    if refers(spec.payload):
        fields["template"] = spec.payload
    task = draft.put(Task.of(spec, id=id, created_at=now, created_by=created_by, depends_on=dependencies, **fields))
    looked_at = not task.blocked and task.open and _takes_a_look(task)
    draft.event(
        TASKS, "task.created", created_by, **about(task),
        title=task.title or None, ready=(task.ready(now) and not looked_at) or None,
    )  # fmt: skip
    if task.status == "skipped":
        draft.event(TASKS, "task.skipped", None, **about(task))
    return unblock(draft, task) if looked_at else task


def _takes_a_look(task: Task) -> bool:
    """Whether more than its dependencies decides what becomes of it."""
    return bool(task.template or task.condition or task.approval or task.holds_work)


def on_terms(spec: TaskSpec, terms: Terms) -> TaskSpec:
    """The spec with what the store's terms add to it."""
    if spec.timeout_seconds is not None or terms.task_timeout_seconds is None:
        return spec
    return spec.model_copy(update={"timeout_seconds": float(terms.task_timeout_seconds)})


def _check_key(draft: Draft, key: str | None) -> None:
    if key is None:
        return
    earlier = draft.task_by_idempotency_key(key)
    if earlier is not None:
        raise Conflict(
            f"Idempotency key {key!r} already made {earlier.id}.",
            hint="Use a new key for a new task.",
            task_id=earlier.id,
        )


def standing(spec: TaskSpec, statuses: list[TaskStatus]) -> dict[str, object]:
    """`blocked` or `status` of a task that has not begun and whose dependencies have these statuses."""
    waiting = any(status in OPEN for status in statuses)
    match spec.run_when:
        case "all_succeeded":
            never = any(status not in OPEN and status != "completed" for status in statuses)
        case "any_failed":
            failed = "failed" in statuses
            waiting, never = waiting and not failed, not waiting and not failed
        case "all_done":
            never = False
    return {"status": "skipped"} if never else {"blocked": waiting}


def unblock(draft: Draft, task: Task) -> Task:
    """Let a task go whose dependencies have ended as it wants: ready, or what its condition and values make of it."""
    now = draft.view.now
    fields: dict[str, object] = {"blocked": False, "not_before": to_come(task, now), "updated_at": now}
    try:
        if task.condition is not None and not holds(task.condition, look_from(draft, task)):
            skipped = draft.put(task.changed(**fields, status="skipped", paused=False))
            draft.event(TASKS, "task.skipped", None, **about(task), reason="its condition does not hold")
            return skipped
        if task.template is not None and task.for_each is None:
            fields["payload"] = _payload(task, task.template, draft)
    except Unresolved as why:
        failed = draft.put(task.changed(**fields, status="failed", paused=False, error=unresolved(why)))
        draft.event(TASKS, "task.failed", None, **about(task), attempt=task.attempt, error=brief(unresolved(why)))
        return failed
    let_go(draft, free := draft.put(task.changed(**fields)))
    return free


def to_come(task: Task, now: datetime) -> datetime | None:
    """Before when the task may not begin, unless that has passed."""
    return None if task.not_before is not None and task.not_before <= now else task.not_before


def unresolved(why: Unresolved) -> dict[str, JsonValue]:
    """The error of a task whose values cannot be had."""
    return {"error": str(why)[:MAX_SAID], "code": "unresolved_reference"}


def _payload(task: Task, template: dict[str, JsonValue], draft: Draft) -> JsonValue:
    payload = resolve(cast("JsonValue", template), look_from(draft, task))
    if (size := len(to_json(payload))) > MAX_JSON_BYTES:
        raise Unresolved(f"its payload would have {size} bytes, the limit is {MAX_JSON_BYTES}: refer to less")
    return payload


def look_from(draft: Draft, task: Task, **known: JsonValue) -> Look:
    """What the paths in this task begin at: other tasks, the workflow around it, and what is known besides."""

    def look(root: str) -> JsonValue:
        if root in known:
            return known[root]
        if root == OF_WORKFLOW and task.workflow_id is not None:
            around = draft.get(Workflow, task.workflow_id)
            return {} if around is None else {"id": around.id, "type": around.type, "metadata": around.metadata}
        other = draft.get(Task, root)
        if other is None:
            raise Unresolved(f"there is no task {root}")
        return {"result": other.result, "error": other.error, "status": other.status}

    return look


def let_go(draft: Draft, task: Task) -> None:
    """Tell that nothing but a claim is missing to a task, or what else is; one that holds work begins it."""
    if not task.blocked and task.awaits_approval and not task.paused:
        draft.event(TASKS, "task.approval_requested", None, **about(task), approval=task.approval)
    if not task.unhindered or (task.not_before is not None and task.not_before > draft.view.now):
        return
    if task.holds_work:
        draft.starting.append(task.id)
    else:
        draft.event(TASKS, "task.ready", None, **about(task))
