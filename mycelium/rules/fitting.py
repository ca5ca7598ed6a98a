"""Whether records that came from elsewhere fit each other, as if the rules alone had made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from mycelium.models import Record, Task, Trigger, Workflow
from mycelium.rules.adding import standing


@dataclass(frozen=True, slots=True)
class Misfit:
    """A record that cannot be, and why; `says` goes on where its kind and key were named."""

    record: Record
    says: str


@dataclass(slots=True)
class _Together:
    """What a record has to fit."""

    tasks: dict[str, Task]
    workflows: dict[str, Workflow]
    homes: dict[str, str]
    """For each task that a workflow lists, that workflow."""
    keyed: dict[str, str] = field(default_factory=dict[str, str])
    """For each idempotency key met so far, the task that has it."""


def misfits(records: Sequence[Record]) -> Iterator[Misfit]:
    """What does not fit, in the order of the records; circles of dependencies last.

    Takes time in proportion to the records and their dependencies.
    """
    together = _together(records)
    for record in records:
        says = _of_task(record, together) if isinstance(record, Task) else None
        says = _of_workflow(record, together) if isinstance(record, Workflow) else says
        says = _of_trigger(record) if isinstance(record, Trigger) else says
        if says is not None:
            yield Misfit(record, says)
    yield from _circle(together.tasks)


def _together(records: Sequence[Record]) -> _Together:
    workflows = {record.id: record for record in records if isinstance(record, Workflow)}
    return _Together(
        tasks={record.id: record for record in records if isinstance(record, Task)},
        workflows=workflows,
        homes={key: workflow.id for workflow in workflows.values() for key in workflow.tasks},
    )


def _of_task(task: Task, together: _Together) -> str | None:
    return (
        _of_lease(task)
        or _of_key(task, together)
        or _of_home(task, together)
        or _of_work(task, together)
        or _of_dependencies(task, together)
    )


def _of_lease(task: Task) -> str | None:
    if task.status != "running":
        return f"is {task.status}, but somebody holds a lease on it" if task.lease else None
    if task.lease is None:
        return None if task.runs is not None else "is running, but nobody holds a lease on it"
    if task.lease.token != task.token:
        return f"has a lease with token {task.lease.token}, but its last one had {task.token}"
    return "is running, but was never begun: its attempt is 0" if task.attempt == 0 else None


def _of_key(task: Task, together: _Together) -> str | None:
    if task.idempotency_key is None:
        return None
    first = together.keyed.setdefault(task.idempotency_key, task.id)
    return None if first == task.id else f"has the idempotency key of {first}"


def _of_home(task: Task, together: _Together) -> str | None:
    home = together.homes.get(task.id)
    if task.workflow_id == home:
        return None
    if task.workflow_id is None:
        return f"says nothing of workflow {home}, which lists it"
    known = task.workflow_id in together.workflows
    return f"belongs to workflow {task.workflow_id}, which {'does not list it' if known else 'is not there'}"


def _of_work(task: Task, together: _Together) -> str | None:
    """What is wrong with a task that is paused, or that a workflow of its own does."""
    home = together.workflows.get(task.workflow_id or "")
    if task.paused and (home is None or home.status != "paused"):
        return "is paused, but no workflow around it is"
    if task.status == "running" and task.lease is None:
        inner = together.workflows.get(task.runs or "")
        going_on = inner is not None and inner.going_on and inner.parent == task.id
        return None if going_on else f"is done by workflow {task.runs}, which does not go on"
    begun = task.holds_work and task.unhindered and task.not_before is None
    return "holds work that nothing stands in the way of, but it was never begun" if begun else None


def _of_dependencies(task: Task, together: _Together) -> str | None:
    found = [together.tasks.get(key) for key in task.depends_on]
    if None in found:
        return f"depends on {task.depends_on[found.index(None)]}, which is not there"
    if task.status != "pending":
        return f"is {task.status}, but also blocked" if task.blocked else None
    wanted = standing(task, [other.status for other in found if other])
    if "status" in wanted:
        return f"is pending, but should be {wanted['status']} after what became of its dependencies"
    retried = any(other and other.open and other.workflow_id is not None for other in found)
    if wanted["blocked"] == task.blocked or (retried and not task.blocked):
        return None  # it may have been let go before a workflow that it waited on was retried
    return "is blocked, but waits for nothing" if task.blocked else "is not blocked, but has to wait for others"


def _of_workflow(workflow: Workflow, together: _Together) -> str | None:
    missing = next((key for key in workflow.tasks if key not in together.tasks), None)
    if missing is not None:
        return f"lists the task {missing}, which is not there"
    other = next((together.homes[key] for key in workflow.tasks if together.homes[key] != workflow.id), None)
    if other is not None:
        return f"lists a task that workflow {other} lists, too"
    parent = together.tasks.get(workflow.parent or "")
    if workflow.parent is not None and workflow.going_on and (parent is None or parent.runs != workflow.id):
        return f"does the task {workflow.parent}, which knows nothing of it"
    return None


def _of_trigger(trigger: Trigger) -> str | None:
    waits = trigger.status != "active" or trigger.when.schedule is None or trigger.next_at is not None
    return None if waits else "is active, but has no time to tick at"


def _circle(tasks: dict[str, Task]) -> Iterator[Misfit]:
    """A task that waits on itself, by way of others."""
    if _in_order(tasks):
        return  # nearly always: a task can only wait on tasks that were there before it
    try:
        TopologicalSorter({key: task.depends_on for key, task in tasks.items()}).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        shown = [*circle[:9], "...", circle[-1]] if len(circle) > 10 else circle
        yield Misfit(tasks[circle[0]], f"waits on itself: {' -> '.join(shown)}")


def _in_order(tasks: dict[str, Task]) -> bool:
    """Whether every task comes after those it depends on."""
    seen = set[str]()
    for key, task in tasks.items():
        if not seen.issuperset(task.depends_on):
            return False
        seen.add(key)
    return True
