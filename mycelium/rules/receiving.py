"""Messages bring tasks, workflows and events, each once, however often they come.

A task is leased in the same step to whoever took its message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mycelium.errors import Conflict, NotClaimable
from mycelium.models import Keeper, Task, TaskSpec, Workflow, WorkflowTask
from mycelium.rules.adding import add_task, on_terms
from mycelium.rules.creation import bound, differences
from mycelium.rules.declaring import id_of
from mycelium.rules.draft import Draft
from mycelium.rules.events import publish_event
from mycelium.rules.leases import granted, obstacle
from mycelium.rules.settle import settle
from mycelium.rules.view import Change, NewEvent, View
from mycelium.rules.workflows import create_workflow

MESSAGES: Final = "messages"
"""The duty to take in messages; everybody does it, so its record has no holder."""
REMEMBERED: Final = 1000
"""So many messages that are but events are known again."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who took the message, and what they would do."""

    agent: str
    seconds: float
    types: frozenset[str] | None = None
    """The types of tasks they can do; None: all."""

    def wants(self, task: Task) -> bool:
        return self.types is None or task.type in self.types


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message."""

    task: Task | None
    """None where the message tells of a task that is no more."""
    new: bool = False
    claimed: bool = False
    refusal: NotClaimable | None = None
    """Why the claimant may not have a task that is ready and addressed to nobody else."""


def receive_task(
    view: View, spec: TaskSpec, *, id: str, created_by: str | None, claimant: Claimant
) -> Change[Received]:
    """Take in a task under the id that its message gives it.

    Raises:
        Conflict: the id is that of another task, or the message's key was used for another.
        UnknownDependency, UnknownReference, DependencyCycle: as `create_task`.
    """
    draft = Draft(view)
    spec = on_terms(bound(spec), view.terms)
    key = spec.idempotency_key
    earlier = (draft.task_by_idempotency_key(key) if key is not None else None) or draft.get(Task, id)
    if earlier is None:
        task = add_task(draft, spec, id=id, created_by=created_by)
        received = _leased(draft, task, claimant, new=True)
        settle(draft, *([] if task.open else [task]))
        return draft.change(received)
    _check_same(earlier, spec, id)
    return draft.change(_leased(draft, earlier, claimant, new=False))


def take_announced(view: View, task_id: str, *, claimant: Claimant) -> Change[Received]:
    """Lease a task that this very store has announced, if it is still to be had."""
    task = view.get(Task, task_id)
    if task is None:
        return Change(Received(None))
    draft = Draft(view)
    return draft.change(_leased(draft, task, claimant, new=False))


def _check_same(earlier: Task, spec: TaskSpec, id: str) -> None:
    if earlier.id == id and earlier.idempotency_key is not None and earlier.idempotency_key == spec.idempotency_key:
        return  # the same message; whom it names may be told apart otherwise by now
    differing = [name for name in differences(earlier, spec) if name != "idempotency_key"]
    if earlier.id == id and not differing:
        return
    told = f", with other {', '.join(differing)}" if differing else ""
    raise Conflict(
        f"Task {earlier.id} is here already{told}.",
        hint="Give another task an id of its own, and its message another one.",
        task_id=earlier.id,
        differs=differing,
    )


def _leased(draft: Draft, task: Task, claimant: Claimant, *, new: bool) -> Received:
    if not task.open or obstacle(task, claimant.agent, draft.view.now) is not None:
        return Received(task, new=new)
    if not claimant.wants(task):
        return Received(task, new=new, refusal=_cannot(task, claimant))
    try:
        running = granted(draft, task, agent=claimant.agent, seconds=claimant.seconds)
    except NotClaimable as refusal:
        for_others = "missing" in refusal.data
        return Received(task, new=new, refusal=None if for_others else refusal)
    return Received(running, new=new, claimed=True)


def _cannot(task: Task, claimant: Claimant) -> NotClaimable:
    return NotClaimable(
        f"{claimant.agent} does no tasks of type {task.type}.",
        hint="Start a worker that does, or give this one a model.",
        task_id=task.id,
        type=task.type,
    )


def receive_workflow(view: View, workflow: Workflow, tasks: Sequence[WorkflowTask]) -> Change[bool]:
    """Take in a workflow under the id that its message gives it; whether it is new.

    Raises:
        Conflict: the id is that of another workflow.
        InvalidInput, UnknownDependency, UnknownReference, DependencyCycle: as `create_workflow`.
    """
    earlier = view.get(Workflow, workflow.id)
    if earlier is None:
        added = create_workflow(view, workflow, tasks)
        return Change(True, puts=added.puts, events=added.events)
    ids = {id_of(workflow, task) for task in tasks}
    if (earlier.type, earlier.metadata, {*earlier.tasks}) != (workflow.type, workflow.metadata, ids):
        raise Conflict(
            f"Workflow {workflow.id} is here already, and is another one.",
            hint="Give it an id of its own.",
            workflow_id=workflow.id,
        )
    return Change(False)


def receive_event(view: View, event: NewEvent, *, message_id: str) -> Change[bool]:
    """Add an event that a message brings; whether it is new. Raises as `publish_event` does."""
    before = view.get(Keeper, MESSAGES)
    if before is not None and message_id in before.received:
        return Change(False)
    received = (*(before.received if before else ())[1 - REMEMBERED :], message_id)
    kept = (
        Keeper(duty=MESSAGES, since=view.now, at=view.now, received=received)
        if before is None
        else before.changed(received=received, at=view.now)
    )
    said = publish_event(view, event.channel, event.type, event.source, event.data)
    return Change(True, puts=(kept,), events=said.events)
