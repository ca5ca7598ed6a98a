"""Callers create tasks; the same one twice is one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from mycelium.errors import Conflict
from mycelium.models import Model, Task, TaskSpec
from mycelium.rules.adding import add_task, on_terms
from mycelium.rules.draft import Draft
from mycelium.rules.values import Binder, refers
from mycelium.rules.view import Change, View

COMPARED: Final = tuple(name for name in TaskSpec.model_fields if name not in {"not_before", "depends_on"})
"""What must be equal for two creations with one idempotency key to be the same. Time may clear `not_before`."""


def create_task(view: View, spec: TaskSpec, *, id: str, created_by: str | None) -> Change[Task]:
    """Add a task; with an idempotency key that is already known, give back the task it made.

    Raises:
        Conflict: the id is taken, or the idempotency key was used for something else.
        UnknownDependency, DependencyCycle: see `depends_on`.
        UnknownReference: the payload or the condition refers to a task that is not among `depends_on`.
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
    spec = on_terms(bound(spec), draft.view.terms)
    key = spec.idempotency_key
    earlier = draft.task_by_idempotency_key(key) if key is not None else None
    return add_task(draft, spec, id=id, created_by=created_by) if earlier is None else _same(earlier, spec)


def bound(spec: TaskSpec) -> TaskSpec:
    """The spec with the references in it made exact. They may lead to its dependencies.

    Raises:
        UnknownReference: one leads elsewhere.
    """
    if spec.condition is None and not refers(spec.payload):
        return spec
    binder = Binder("The task", {key: key for key in spec.depends_on})
    fields: dict[str, object] = {"payload": binder.value(spec.payload)}
    if spec.condition is not None:
        fields["condition"] = binder.condition(spec.condition)
    return spec.model_copy(update=fields)


def differences(earlier: Task, spec: TaskSpec) -> list[str]:
    """What of a task is not as the spec wants it."""
    wanted = tuple(dict.fromkeys(spec.depends_on))
    before = earlier if earlier.template is None else earlier.model_copy(update={"payload": earlier.template})
    differing = [name for name in COMPARED if _as_json(before, name) != _as_json(spec, name)]
    return [*differing, "depends_on"] if earlier.depends_on != wanted else differing


def _same(earlier: Task, spec: TaskSpec) -> Task:
    differing = differences(earlier, spec)
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
    value = getattr(spec, name)
    return value.model_dump_json() if isinstance(value, Model) else json.dumps(value, sort_keys=True)
