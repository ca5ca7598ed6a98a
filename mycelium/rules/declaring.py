"""Workflows are declared: their names and references are made exact, and all their tasks come into being at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from pydantic import JsonValue

from mycelium.errors import Conflict, DependencyCycle, InvalidId, InvalidInput
from mycelium.models import (
    MAX_DEPENDENCIES,
    MAX_TASKS,
    WORKFLOWS,
    Task,
    TaskSpec,
    Workflow,
    WorkflowMode,
    WorkflowSpec,
    WorkflowTask,
)
from mycelium.models.base import is_id
from mycelium.models.spec import mode_of
from mycelium.rules.adding import OF_WORKFLOW, add_task
from mycelium.rules.draft import Draft, about_workflow
from mycelium.rules.values import Binder, refers

UNDO = "undo"
"""The last part of the id of a task that takes another back."""
OF_ITEM = frozenset({"item", "index"})
"""Where references to what a task is repeated for begin."""


def add_workflow(draft: Draft, workflow: Workflow, tasks: Sequence[WorkflowTask]) -> list[Task]:
    """Put a workflow and all its tasks into the draft. The task `name` of workflow `id` gets the id `id.name`."""
    if draft.get(Workflow, workflow.id) is not None:
        raise Conflict(f"Workflow {workflow.id} exists.", hint="Leave the id out.", workflow_id=workflow.id)
    ids = {task.name: id_of(workflow, task) for task in tasks}
    bound = declared(tasks, ids)
    wanted = _wanted(workflow.mode, bound, ids)
    now = draft.view.now
    limit = workflow.timeout_seconds
    timeout_at = None if limit is None else now + timedelta(seconds=limit)
    times = {"created_at": now, "updated_at": now, "timeout_at": timeout_at}
    draft.put(workflow.model_copy(update={"tasks": tuple(ids.values()), **times}))
    draft.event(WORKFLOWS, "workflow.created", workflow.created_by, **about_workflow(workflow), tasks=len(tasks))
    own = set(ids.values())
    draft.read(Task, [*{other for others in wanted.values() for other in others if other not in own}])
    draft.read_by_idempotency_key([task.idempotency_key for task in tasks if task.idempotency_key is not None])
    return [
        add_task(
            draft, bound[name].model_copy(update={"type": bound[name].type or name, "depends_on": wanted[name]}),
            id=ids[name], created_by=workflow.created_by, workflow_id=workflow.id, hops=workflow.hops,
            for_each=bound[name].for_each, workflow=bound[name].workflow, undo=bound[name].undo,
        )
        for name in _in_order(wanted, ids)
    ]  # fmt: skip


def declared(
    tasks: Sequence[WorkflowTask], ids: Mapping[str, str], *, besides: Set[str] = frozenset()
) -> dict[str, WorkflowTask]:
    """The tasks by name, with every reference made exact and what is referred to among the dependencies.

    `besides` are further roots that references may begin at.

    Raises:
        InvalidInput: two tasks have one name.
        UnknownReference: something is referred to that is not there.
    """
    _check_names(tasks)
    if len(ids) < len(tasks):
        names = Counter(task.name for task in tasks)
        twice = sorted(name for name, count in names.items() if count > 1)
        raise InvalidInput(
            f"Task names must differ within a workflow: {', '.join(twice[:10])}.", hint="Rename one.", names=twice
        )
    return {task.name: _bound(task, ids, besides) for task in tasks}


def _check_names(tasks: Sequence[WorkflowTask]) -> None:
    """Refuse names that would give two tasks one id: those of the tasks that stand for others have these within."""
    names = {task.name for task in tasks}
    holders = {task.name for task in tasks if task.for_each is not None or task.workflow is not None}
    undone = {f"{task.name}.{UNDO}" for task in tasks if task.undo is not None}
    within = (name for name in names if holders and any(part in holders for part in _beginnings(name)))
    itself = (
        task.name for task in tasks if task.undo and task.workflow and any(t.name == UNDO for t in task.workflow.tasks)
    )
    if (taken := next(iter(undone & names), None) or next(within, None) or next(itself, None)) is not None:
        raise InvalidInput(
            f"The task name {taken!r} is needed for what another task stands for.",
            hint="Rename one of them.",
            name=taken,
        )


def _beginnings(name: str) -> Iterator[str]:
    return (name[:at] for at, char in enumerate(name) if char == ".")


def _bound(task: WorkflowTask, ids: Mapping[str, str], besides: Set[str]) -> WorkflowTask:
    others = {key: key for key in task.depends_on if key not in ids}
    around = {OF_WORKFLOW, *besides}
    binder = Binder(task.name, {**others, **ids} if others else ids, {OF_WORKFLOW})
    fields: dict[str, object] = {}
    if task.condition is not None:
        fields["condition"] = binder.condition(task.condition)
    binder.roots = around
    if task.for_each is not None:
        fields["for_each"] = _bound_list(task.for_each, binder)
        binder.roots = around | OF_ITEM
    if refers(task.payload):
        fields["payload"] = binder.value(task.payload)
    needed = tuple(binder.used)
    if task.undo is not None:
        fields["undo"] = _bound_undo(task.undo, binder)
    if task.workflow is not None:
        check_declared(task.workflow, besides=besides)
    return task.model_copy(update={**fields, "depends_on": (*task.depends_on, *needed)}) if fields else task


def _bound_undo(undo: TaskSpec, binder: Binder) -> TaskSpec:
    """The undo task with its references made exact; when and whether it runs is for the workflow to say."""
    fields: dict[str, object] = {"payload": binder.value(undo.payload), "idempotency_key": None}
    if undo.condition is not None:
        fields["condition"] = binder.condition(undo.condition)
    return undo.model_copy(update=fields)


def check_declared(spec: WorkflowSpec, *, besides: Set[str]) -> None:
    """Refuse a workflow that cannot be begun, before there is anything that will have to begin it.

    Raises as `add_workflow` does, but for dependencies outside of it, which may still come.
    """
    names = {task.name: task.name for task in spec.tasks}
    bound = declared(spec.tasks, names, besides=besides)
    _in_order(_wanted(mode_of(spec), bound, names), names)


def _bound_list(wanted: JsonValue, binder: Binder) -> JsonValue:
    """A list, or a reference to one, which may be written as its path alone."""
    if isinstance(wanted, list):
        if len(wanted) > MAX_TASKS:
            raise _too_many(binder.where, len(wanted))
        return binder.value(wanted)
    if isinstance(wanted, str):
        return binder.value({"$from": wanted})
    if isinstance(wanted, dict) and refers(wanted):
        return binder.value(wanted)
    raise InvalidInput(
        f"Invalid for_each of {binder.where}: it must be a list, or a path to one.",
        hint="Write it like survey.result.files.",
        fields=["for_each"],
    )


def _too_many(where: str, count: int) -> InvalidInput:
    return InvalidInput(
        f"Invalid for_each of {where}: {count} things, the limit is {MAX_TASKS}.",
        hint="Work on them in groups: give each task a part of the list.",
        fields=["for_each"],
        count=count,
        limit=MAX_TASKS,
    )


def _wanted(
    mode: WorkflowMode, bound: Mapping[str, WorkflowTask], ids: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """For each task, the ids of those it depends on."""
    wanted = {name: [ids.get(other, other) for other in task.depends_on] for name, task in bound.items()}
    if mode == "sequential":
        for before, after in pairwise(ids):
            wanted[after].append(ids[before])
    if over := next((name for name, others in wanted.items() if len(set(others)) > MAX_DEPENDENCIES), None):
        raise InvalidInput(
            f"Invalid depends_on: {over} waits on others, too, which makes more than {MAX_DEPENDENCIES}.",
            hint="Leave one out.",
            fields=["depends_on"],
        )
    return {name: tuple(dict.fromkeys(others)) for name, others in wanted.items()}


def _in_order(wanted: Mapping[str, Sequence[str]], ids: Mapping[str, str]) -> list[str]:
    """The names, each after those it depends on."""
    names = {id: name for name, id in ids.items()}
    graph = {name: [names[other] for other in others if other in names] for name, others in wanted.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        raise DependencyCycle(cycle[::-1]) from None


def id_of(workflow: Workflow, task: WorkflowTask) -> str:
    name, made = task.name, f"{workflow.id}.{task.name}"
    if not is_id(made if task.undo is None else f"{made}.{UNDO}"):
        raise InvalidId(f"The task name {name!r} is too long.", hint="Use at most 100 characters.", id=made)
    return made
