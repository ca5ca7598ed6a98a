"""What a message on `agent_coordination` asks for: a workflow of tasks for several agents.

parallel_execution      all at once
sequential_execution    one after another, each with what the one before came to as `previous`
conditional_execution   each as its `condition` says; or all of it when something happens, as `when` says
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from mycelium.models import WorkflowSpec
from mycelium.models.base import Id, JsonObject, Label, Model
from mycelium.models.spec import MAX_TASKS, WorkflowMode
from mycelium.models.trigger import Then, When
from mycelium_messaging.asked import PROMPT, unfit
from mycelium_messaging.envelope import Envelope
from mycelium_messaging.errors import BadMessage
from mycelium_messaging.outgoing import COORDINATED
from mycelium_messaging.roster import Address

Kind = Literal["parallel_execution", "sequential_execution", "conditional_execution"]
MODES: Final[Mapping[Kind, WorkflowMode]] = {
    "parallel_execution": "parallel",
    "sequential_execution": "sequential",
    "conditional_execution": "dag",
}
OF_TASK: Final = (
    "title", "priority", "queue", "capabilities", "depends_on", "run_when", "max_attempts", "timeout_seconds",
    "not_before", "condition",
)  # fmt: skip
"""What a task of a request may say of itself, as a task of a workflow does."""
OWN: Final = {*OF_TASK, "type", "agent", "agent_id"}
"""The same, and who does what: the rest is for whoever does it."""


class Request(Model):
    """The payload of such a message."""

    coordination_id: Id
    type: Kind
    agents: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    """Who does the tasks: the first does the first, and so on, from the beginning again where they are fewer."""
    tasks: Annotated[tuple[JsonObject, ...], Field(min_length=1, max_length=MAX_TASKS)]
    when: When | None = None
    on_failure: Literal["continue", "stop", "compensate"] = "continue"
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None


class Part(Model):
    """One of its tasks, as far as it says whose it is and which."""

    id: Id
    type: Label | None = None
    agent_id: Id | None = None


@dataclass(frozen=True, slots=True)
class Coordination:
    """A workflow that a message asks for, at once or when something happens."""

    id: str
    work: Sequence[tuple[str, str | None]]
    """The types of its tasks, and who is named for them, each pair once."""
    workflow: WorkflowSpec
    when: When | None


def coordination(envelope: Envelope, addresses: Mapping[str, Address]) -> Coordination:
    """The workflow that this message asks for; `addresses` has whom it names.

    Raises:
        BadMessage: a field is missing, or is none; or there is no such kind of request.
    """
    request = request_in(envelope)
    tasks = [_task(request, number, addresses) for number in range(len(request.tasks))]
    try:
        workflow = WorkflowSpec.model_validate(
            {
                "type": request.type,
                "mode": MODES[request.type],
                "tasks": tasks,
                "on_failure": request.on_failure,
                "timeout_seconds": request.timeout_seconds,
                "metadata": {COORDINATED: request.coordination_id},
            }
        )
        if request.when is not None:
            Then(workflow=workflow)
    except ValidationError as error:
        raise unfit(error, "payload") from None
    return Coordination(request.coordination_id, _work_in(request), workflow, request.when)


def request_in(envelope: Envelope) -> Request:
    """The payload as a request. Raises BadMessage."""
    payload = dict(envelope.payload)
    payload.setdefault("coordination_id", envelope.id)
    kind = payload.get("type")
    if isinstance(kind, str) and kind not in MODES:
        raise BadMessage("unknown_type", f"there is no coordination of type {kind[:100]!r}, only {', '.join(MODES)}")
    said: dict[str, Any] = {name: payload[name] for name in Request.model_fields if name in payload}
    try:
        return Request.model_validate(said)
    except ValidationError as error:
        raise unfit(error, "payload") from None


def id_of_request(envelope: Envelope) -> str:
    """The id under which its sender knows a request, whatever else may be wrong with that."""
    given = envelope.payload.get("coordination_id")
    return given if isinstance(given, str) else envelope.id


def agents_in(request: Request) -> list[str]:
    """Whom it names, each once."""
    return list(dict.fromkeys(agent for n in range(len(request.tasks)) if (agent := _agent(request, n)) is not None))


def _work_in(request: Request) -> list[tuple[str, str | None]]:
    parts = range(len(request.tasks))
    return list(dict.fromkeys((_part(request, n).type or PROMPT, _agent(request, n)) for n in parts))


def _agent(request: Request, number: int) -> str | None:
    part = _part(request, number)
    if part.agent_id is not None:
        return part.agent_id
    return request.agents[number % len(request.agents)] if request.agents else None


def _part(request: Request, number: int) -> Part:
    said = request.tasks[number]
    named: dict[str, JsonValue] = {name: said[name] for name in ("id", "type") if name in said}
    agent = said.get("agent_id", said.get("agent"))
    try:
        return Part.model_validate(named if agent is None else {**named, "agent_id": agent})
    except ValidationError as error:
        raise unfit(error, f"payload.tasks.{number}") from None


def _task(request: Request, number: int, addresses: Mapping[str, Address]) -> dict[str, object]:
    part, said, agent = _part(request, number), request.tasks[number], _agent(request, number)
    payload: dict[str, JsonValue] = {name: value for name, value in said.items() if name not in OWN and name != "id"}
    payload |= {COORDINATED: request.coordination_id, "task_id": part.id}
    if request.type == "sequential_execution" and number:
        before = _part(request, number - 1).id
        payload["previous"] = {"$from": [before, "result"], "default": None}
    task: dict[str, object] = {name: said[name] for name in OF_TASK if name in said}
    task |= {"name": part.id, "type": part.type or PROMPT, "payload": payload}
    return task if agent is None else {**task, **_addressed(said, addresses[agent])}


def _addressed(said: Mapping[str, JsonValue], address: Address) -> dict[str, object]:
    needed = said.get("capabilities")
    own = needed if isinstance(needed, list) else []
    return {"assigned_to": address.assigned_to, "capabilities": [*own, *address.capabilities]}
