"""What a message on `agent_tasks` asks for: from its payload to the spec of a task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from typing import Annotated, Final

from pydantic import Field, JsonValue, ValidationError

from mycelium.models import Priority, TaskSpec
from mycelium.models.base import Id, Label, Line, Model, Moment
from mycelium.models.spec import MAX_DEPENDENCIES, Seconds
from mycelium_messaging.envelope import Envelope
from mycelium_messaging.errors import BadMessage

PROMPT: Final = "prompt"
"""The type of a task that is nothing but something to say to a model."""
MAX_KEY: Final = 256
_PLAIN: Final = TaskSpec(type=PROMPT)
MESSAGE: Final = "message:"
"""What idempotency keys begin with that come from messages."""


class Asked(Model):
    """The fields of a payload that say something of the task; all others are for whoever does it."""

    task_id: Id
    type: Label
    title: Line = ""
    agent_id: Id | None = None
    priority: Priority = "normal"
    queue: Label | None = None
    capabilities: Annotated[tuple[Label, ...], Field(max_length=50)] = ()
    depends_on: Annotated[tuple[Id, ...], Field(max_length=MAX_DEPENDENCIES)] = ()
    max_attempts: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    timeout_seconds: Seconds | None = None
    not_before: Moment | None = None


@dataclass(frozen=True, slots=True)
class AskedFor:
    """A task that a message asks for."""

    id: str
    agent: str | None
    """Who is to do it: an agent's name, or something that agents say they can do."""
    spec: TaskSpec


def asked_for(envelope: Envelope) -> AskedFor:
    """The task that this message asks for.

    Raises:
        BadMessage: a field is missing, or is none.
    """
    asked = _read(envelope)
    spec = _PLAIN.altered(  # every field is valid already
        type=asked.type,
        title=asked.title,
        payload=envelope.payload,
        priority=asked.priority,
        queue=asked.queue,
        capabilities=asked.capabilities,
        depends_on=asked.depends_on,
        max_attempts=asked.max_attempts,
        timeout_seconds=asked.timeout_seconds,
        not_before=asked.not_before and asked.not_before.astimezone(UTC),
        idempotency_key=key_of(envelope.id),
    )
    return AskedFor(asked.task_id, asked.agent_id, spec)


def key_of(message_id: str) -> str:
    """What makes the same message the same task."""
    key = f"{MESSAGE}{message_id}"
    return key if len(key) <= MAX_KEY else f"{MESSAGE}{sha256(message_id.encode()).hexdigest()}"


def _read(envelope: Envelope) -> Asked:
    said: dict[str, JsonValue] = {
        name: envelope.payload[name] for name in Asked.model_fields if name in envelope.payload
    }
    said.setdefault("task_id", envelope.id)
    if "type" not in said and PROMPT in envelope.payload:
        said["type"] = PROMPT
    try:
        return Asked.model_validate(said)
    except ValidationError as error:
        raise unfit(error, "payload") from None


def unfit(error: ValidationError, within: str) -> BadMessage:
    """What pydantic found, as the reason why a message is none. Not with what stands there: it may be long."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    missing = [each for each in found if each["type"] == "missing"]
    first = (missing or found)[0]
    where = ".".join((within, *(str(step) for step in first["loc"])))[:200]
    if missing:
        return BadMessage("missing_field", f"{where} is missing", field=where)
    return BadMessage("invalid_field", f"{where}: {first['msg']}"[:500], field=where)
