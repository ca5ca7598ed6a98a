"""Taking back what a workflow has done, in the opposite order."""

from __future__ import annotations

from typing import cast

from mycelium.models import WORKFLOWS, Task, TaskSpec, Workflow
from mycelium.rules.adding import add_task
from mycelium.rules.declaring import UNDO
from mycelium.rules.draft import Draft, about_workflow
from mycelium.rules.ending import tasks_of


def add_undo_tasks(draft: Draft, workflow: Workflow) -> list[Task]:
    """Add the undo tasks of all that was completed, last first, each after the one before. None where there are none.

    One that fails does not keep the others from being tried.
    """
    done = [task for task in tasks_of(draft, workflow) if task.status == "completed" and task.undo is not None]
    order = {key: number for number, key in enumerate(workflow.tasks)}
    done.sort(key=lambda task: (task.updated_at, order[task.id]), reverse=True)
    if not done:
        return []
    ids = [f"{task.id}.{UNDO}" for task in done]
    # Time limits the work, not its undoing, which would stop half-way.
    fields = {"timeout_at": None, "seconds_left": None, "updated_at": draft.view.now}
    draft.put(workflow.changed(status="compensating", tasks=(*workflow.tasks, *ids), **fields))
    draft.event(WORKFLOWS, "workflow.compensating", None, **about_workflow(workflow), tasks=ids)
    before: list[str] = []
    added: list[Task] = []
    for task, id in zip(done, ids, strict=True):
        undo = cast("TaskSpec", task.undo).model_copy(update={"depends_on": tuple(before), "run_when": "all_done"})
        added.append(add_task(draft, undo, id=id, created_by=None, workflow_id=workflow.id, hops=workflow.hops))
        before = [id]
    return added
