"""Taking back what a workflow has done, in the opposite order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from pydantic import JsonValue

from mycelium.models import WORKFLOWS, Task, TaskSpec, Workflow
from mycelium.rules.adding import add_task, look_from
from mycelium.rules.declaring import UNDO
from mycelium.rules.draft import Draft, about_workflow
from mycelium.rules.ending import tasks_of
from mycelium.rules.reviving import was_undone
from mycelium.rules.values import Unresolved, resolve


def add_undo_tasks(draft: Draft, workflow: Workflow) -> list[Task]:
    """Add the undo tasks of all that was completed, last first, each after the one before. None where there are none.

    One that fails does not keep the others from being tried.
    """
    done = [*enumerate(_done_in(draft, workflow))]
    done.sort(key=lambda each: (each[1].updated_at, each[0]), reverse=True)
    if not done:
        return []
    ids = [f"{task.id}.{UNDO}" for _, task in done]
    # Time limits the work, not its undoing, which would stop half-way.
    fields = {"timeout_at": None, "seconds_left": None, "updated_at": draft.view.now}
    draft.put(workflow.changed(status="compensating", tasks=(*workflow.tasks, *ids), **fields))
    draft.event(WORKFLOWS, "workflow.compensating", None, **about_workflow(workflow), tasks=ids)
    before: list[str] = []
    added: list[Task] = []
    for (_, task), id in zip(done, ids, strict=True):
        undo = _undo_of(draft, task).model_copy(update={"depends_on": tuple(before), "run_when": "all_done"})
        added.append(add_task(draft, undo, id=id, created_by=None, workflow_id=workflow.id, hops=workflow.hops))
        before = [id]
    return added


def _done_in(draft: Draft, workflow: Workflow) -> Iterator[Task]:
    """What was completed and can be taken back, also by the workflows within that did not take it back themselves."""
    for task in tasks_of(draft, workflow):
        inner = draft.get(Workflow, task.runs) if task.runs is not None else None
        if task.status == "completed" and task.undo is not None and task.for_each is None:
            yield task
        elif inner is not None and not was_undone(inner):
            yield from _done_in(draft, inner)


def _undo_of(draft: Draft, task: Task) -> TaskSpec:
    """The task that takes this one back, with the values that this one could see."""
    undo = cast("TaskSpec", task.undo)
    try:
        payload = resolve(cast("JsonValue", undo.payload), look_from(draft, task))
    except Unresolved:
        return undo  # it fails with the reason, and the others are tried
    return undo.model_copy(update={"payload": payload})
