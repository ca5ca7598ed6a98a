"""A task comes into being: blocked, skipped or ready, as its dependencies say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from mycelium.errors import Conflict, DependencyCycle, UnknownDependency
from mycelium.models import OPEN, TASKS, Task, TaskSpec, TaskStatus
from mycelium.rules.view import Change, Draft, Terms, View, about

COMPARED: Final = tuple(name for name in TaskSpec.model_fields if name not in {"not_before", "depends_on"})
"""What must be equal for two creations with one idempotency key to be the same. Time may clear `not_before`."""


def create_task(view: View, spec: TaskSpec, *, id: str, created_by: str | None) -> Change[Task]:
    """Add a task; with an idempotency key that is already known, give back the task it made.

    Raises:
        Conflict: the id is taken, or the idempotency key was used for something else.
        UnknownDependency, DependencyCycle: see `depends_on`.
    """
    draft = Draft(view)
    return draft.change(_created(draft, spec, id=id, created_by=created_by))


def create_tasks(
    view: View, specs: Sequence[TaskSpec], *, ids: Sequence[str], created_by: str | None
) -> Change[list[Task]]:
    """Add tasks in this order, all or none. Raises as `create_task` does."""
    draft = Draft(view)
    draft.read(Task, [*{key for spec in specs for key in spec.depends_on}])
    draft.read_by_idempotency_key([*{spec.idempotency_key for spec in specs if spec.idempotency_key is not None}])
    each = zip(specs, ids, strict=True)
    return draft.change([_created(draft, spec, id=id, created_by=created_by) for spec, id in each])


def _created(draft: Draft, spec: TaskSpec, *, id: str, created_by: str | None) -> Task:
    spec = _on_terms(spec, draft.view.terms)
    key = spec.idempotency_key
    earlier = draft.task_by_idempotency_key(key) if key is not None else None
    return add_task(draft, spec, id=id, created_by=created_by) if earlier is None else _same(earlier, spec)


def _same(earlier: Task, spec: TaskSpec) -> Task:
    wanted = tuple(dict.fromkeys(spec.depends_on))
    differing = [name for name in COMPARED if _as_json(earlier, name) != _as_json(spec, name)]
    if earlier.depends_on != wanted:
        differing.append("depends_on")
    if differing:
        raise Conflict(
            f"Idempotency key {spec.idempotency_key!r} already made {earlier.id}, with other {', '.join(differing)}.",
            hint="Use a new key for a new task.",
            task_id=earlier.id,
            differs=differing,
        )
    return earlier


def _as_json(spec: TaskSpec, name: str) -> str:
    """A field to compare: to Python, but not to JSON, `1` and `true` are equal."""
    return json.dumps(getattr(spec, name), sort_keys=True)


def add_task(draft: Draft, spec: TaskSpec, *, id: str, created_by: str | None, workflow_id: str | None = None) -> Task:
    """Put a new task into the draft, blocked, skipped or ready as its dependencies say."""
    spec = _on_terms(spec, draft.view.terms)
    dependencies = tuple(dict.fromkeys(spec.depends_on))
    draft.read(Task, dependencies)
    found = {key: draft.get(Task, key) for key in dependencies}
    if id in found:
        raise DependencyCycle([id, id])
    _check_key(draft, spec.idempotency_key)
    if missing := [key for key, task in found.items() if task is None]:
        raise UnknownDependency(missing)
    now = draft.view.now
    fields = standing(spec, [task.status for task in found.values() if task])
    if spec.not_before is not None and spec.not_before <= now:
        fields["not_before"] = None
    if workflow_id is not None:
        fields["workflow_id"] = workflow_id
    task = draft.put(Task.of(spec, id=id, created_at=now, created_by=created_by, depends_on=dependencies, **fields))
    ready = task.ready(now) or None
    draft.event(TASKS, "task.created", created_by, **about(task), title=task.title or None, ready=ready)
    if task.status == "skipped":
        draft.event(TASKS, "task.skipped", None, **about(task))
    return task


def _on_terms(spec: TaskSpec, terms: Terms) -> TaskSpec:
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
