"""Workflows: declared at once, run by their tasks, or driven by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from pydantic import JsonValue

from mycelium.errors import Conflict, DependencyCycle, IllegalTransition, InvalidId, InvalidInput
from mycelium.models import MAX_DEPENDENCIES, WORKFLOWS, Task, Workflow, WorkflowStatus, WorkflowTask
from mycelium.models.base import is_id
from mycelium.rules.creation import add_task
from mycelium.rules.outcomes import cancel
from mycelium.rules.settle import close_workflow, settle
from mycelium.rules.view import Change, Draft, View, require


def create_workflow(view: View, workflow: Workflow, tasks: Sequence[WorkflowTask]) -> Change[Workflow]:
    """Add a workflow and all its tasks at once. The task `name` of workflow `id` gets the id `id.name`.

    Raises:
        InvalidInput: two tasks have one name.
        UnknownDependency, DependencyCycle: naming the tasks.
    """
    if view.get(Workflow, workflow.id) is not None:
        raise Conflict(f"Workflow {workflow.id} exists.", hint="Leave the id out.", workflow_id=workflow.id)
    wanted = _wanted(workflow, tasks)
    draft = Draft(view)
    now = view.now
    created = draft.put(
        workflow.model_copy(
            update={
                "tasks": tuple(_id(workflow, task.name) for task in tasks),
                "created_at": now,
                "updated_at": now,
            }
        )
    )
    draft.event(
        WORKFLOWS, "workflow.created", workflow.created_by,
        workflow_id=workflow.id, workflow_type=workflow.type, tasks=len(tasks),
    )  # fmt: skip
    by_name = {task.name: task for task in tasks}
    draft.read(Task, [*{other for others in wanted.values() for other in others if other not in by_name}])
    draft.read_by_idempotency_key([task.idempotency_key for task in tasks if task.idempotency_key is not None])
    for name in _in_order(wanted, by_name):
        task = by_name[name]
        ids = tuple(_id(workflow, other) if other in by_name else other for other in wanted[name])
        spec = task.model_copy(update={"type": task.type or name, "depends_on": ids})
        add_task(draft, spec, id=_id(workflow, name), created_by=workflow.created_by, workflow_id=workflow.id)
    added = [record for record in draft.puts.values() if isinstance(record, Task)]
    if not any(task.open for task in added):
        settle(draft, *added)
    return draft.change(draft.get(Workflow, workflow.id) or created)


def _wanted(workflow: Workflow, tasks: Sequence[WorkflowTask]) -> dict[str, list[str]]:
    """For each task, what it depends on: siblings by name, others by id."""
    names = [task.name for task in tasks]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise InvalidInput(
            f"Task names must differ within a workflow: {', '.join(twice[:10])}.", hint="Rename one.", names=twice
        )
    wanted = {task.name: list(task.depends_on) for task in tasks}
    if workflow.mode == "sequential":
        for before, after in pairwise(names):
            wanted[after].append(before)
    if over := next((name for name, others in wanted.items() if len(others) > MAX_DEPENDENCIES), None):
        raise InvalidInput(
            f"Invalid depends_on: {over} waits on the task before it, too, which makes more than {MAX_DEPENDENCIES}.",
            hint="Leave one out.",
            fields=["depends_on"],
        )
    return wanted


def _in_order(wanted: dict[str, list[str]], by_name: dict[str, WorkflowTask]) -> list[str]:
    """The names, each after those it depends on."""
    graph = {name: [other for other in others if other in by_name] for name, others in wanted.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        raise DependencyCycle(cycle[::-1]) from None


def _id(workflow: Workflow, name: str) -> str:
    made = f"{workflow.id}.{name}"
    if not is_id(made):
        raise InvalidId(f"The task name {name!r} is too long.", hint="Use at most 100 characters.", id=made)
    return made


def update_workflow(
    view: View, workflow_id: str, *, progress: float | None, current_task: str | None, by: str | None
) -> Change[Workflow]:
    """Say how far a workflow is that an agent drives by hand."""
    workflow = _running(view, workflow_id, "updated")
    draft = Draft(view)
    updated = draft.put(
        workflow.changed(
            progress=workflow.progress if progress is None else progress,
            current_task=workflow.current_task if current_task is None else current_task,
            updated_at=view.now,
        )
    )
    draft.event(
        WORKFLOWS, "workflow.progress", by,
        workflow_id=workflow.id, workflow_type=workflow.type, progress=updated.progress, current_task=current_task,
    )  # fmt: skip
    return draft.change(updated)


def finish_workflow(
    view: View,
    workflow_id: str,
    status: WorkflowStatus,
    *,
    by: str | None,
    result: dict[str, JsonValue] | None = None,
    error: dict[str, JsonValue] | None = None,
) -> Change[Workflow]:
    """Give a workflow its outcome by hand; its open tasks are cancelled."""
    workflow = _running(view, workflow_id, status)
    draft = Draft(view)
    closed = close_workflow(draft, workflow, status, by, result=result, error=error)
    open_tasks = [task for task in view.get_all(Task, workflow.tasks) if task and task.open]
    settle(draft, *(cancel(draft, task, reason=f"workflow {status}", by=by) for task in open_tasks))
    return draft.change(closed)


def _running(view: View, workflow_id: str, wanted: str) -> Workflow:
    workflow = require(view, Workflow, workflow_id)
    if workflow.status != "running":
        raise IllegalTransition(
            f"Workflow {workflow.id} is already {workflow.status} and cannot be {wanted}.",
            hint="Create a new workflow.",
            workflow_id=workflow.id,
            status=workflow.status,
        )
    return workflow
