"""The workflow that does a task: one task for each thing in a list, or the workflow that its declaration names."""

from __future__ import annotations

from typing import Final, cast

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium.models import MAX_JSON_BYTES, MAX_TASKS, Task, TaskSpec, Workflow, WorkflowTask, validated
from mycelium.models.spec import mode_of
from mycelium.rules.adding import look_from
from mycelium.rules.declaring import OF_ITEM
from mycelium.rules.draft import Draft
from mycelium.rules.values import Unresolved, resolve

SAME = tuple(
    name for name in TaskSpec.model_fields
    if name not in {"payload", "depends_on", "run_when", "condition", "approval", "not_before", "idempotency_key"}
)  # fmt: skip
"""What the tasks of a for_each have from the one they are made from; the rest was answered before they begin."""

MAX_AT_ONCE: Final = 3 * MAX_TASKS
"""So many records one change may touch when workflows begin within workflows."""


def inner_workflow(draft: Draft, task: Task) -> tuple[Workflow, list[WorkflowTask]]:
    """The workflow that is to do this task, and its tasks.

    Raises:
        Unresolved: the list is none, or too long, or a value in it cannot be had.
    """
    around: dict[str, object] = {"id": task.id, "parent": task.id, "hops": task.hops, "created_by": task.created_by}
    times = {"created_at": draft.view.now, "updated_at": draft.view.now}
    if task.for_each is not None:
        return validated(Workflow, type=task.type, mode="parallel", **around, **times), _repeated(draft, task)
    spec = task.workflow
    if spec is None:
        raise TypeError(task.id)
    workflow = validated(
        Workflow, type=spec.type, mode=mode_of(spec), metadata={**spec.metadata, **task.payload},
        on_failure=spec.on_failure, timeout_seconds=spec.timeout_seconds, **around, **times,
    )  # fmt: skip
    return workflow, list(spec.tasks)


def _repeated(draft: Draft, task: Task) -> list[WorkflowTask]:
    items = resolve(task.for_each, look_from(draft, task))
    if not isinstance(items, list):
        raise Unresolved(f"for_each needs a list, but its path leads to {to_json(items)[:40].decode()}")
    if len(items) > MAX_TASKS:
        raise Unresolved(f"for_each found {len(items)} things, the limit is {MAX_TASKS}: work on them in groups")
    each = 1 if task.workflow is None else 1 + len(task.workflow.tasks)
    if len(items) * each > MAX_AT_ONCE:
        raise Unresolved(f"for_each would make {len(items) * each} tasks at once, the limit is {MAX_AT_ONCE}")
    same = {name: getattr(task, name) for name in SAME}
    return [
        WorkflowTask.model_construct(
            **same,
            name=str(number),
            payload=_payload(draft, task, item, number),
            workflow=task.workflow,
            undo=_undo(draft, task, item, number),
        )
        for number, item in enumerate(items)
    ]


def _payload(draft: Draft, task: Task, item: JsonValue, number: int) -> dict[str, JsonValue]:
    template = cast("JsonValue", task.payload if task.template is None else task.template)
    payload = cast(
        "dict[str, JsonValue]", resolve(template, look_from(draft, task, item=item, index=number), again=True)
    )
    if (size := len(to_json(payload))) > MAX_JSON_BYTES:
        raise Unresolved(f"the payload for number {number} would have {size} bytes, the limit is {MAX_JSON_BYTES}")
    return payload


def _undo(draft: Draft, task: Task, item: JsonValue, number: int) -> TaskSpec | None:
    """What takes back what was done for this thing."""
    if task.undo is None:
        return None
    look = look_from(draft, task, item=item, index=number)
    payload = resolve(cast("JsonValue", task.undo.payload), look, only=OF_ITEM)
    return task.undo.model_copy(update={"payload": payload})
