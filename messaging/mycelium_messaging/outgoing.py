"""What goes out: from an event of the log, and what it is about, to a message. Pure: nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, cast

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium.models import Event, Task, Workflow
from mycelium_messaging.letter import AT, HISTORY, REASON, SAYS, SAYS_CHARS, TASK, TASK_FAILED_FOR_GOOD, sayable
from mycelium_messaging.names import STORE, TASK_COMPLETED, TASK_CREATED, TASK_FAILED

SOURCE: Final = "mycelium"
REPORT: Final = "agent.coordination.status"
NOTIFICATION: Final = "user.notification"
COORDINATED: Final = "coordination_id"
"""Where the metadata of a workflow, and the payloads of its tasks, tell of the request that it was made for."""
MOST_HISTORY: Final = 16_000
"""Bytes: a message's headers must fit into one frame."""
MOST_OF_A_NAME: Final = 255
"""Bytes of a routing key or a type."""
MOST_RESULTS: Final = 1_000_000
"""Bytes that the results of a coordination may have together; above that they are left to the single responses."""
UNSENDABLE: Final = "unsendable"
SUFFIX: Final = "_result"
"""What the type of a response has more than the type of its task."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be published. Its id is that of the event that it tells of, so that copies can be told."""

    routing_key: str
    message_id: str
    type: str
    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])
    dead: bool = False
    """It goes to the dead letters, not to the queues."""


def enveloped(event: Event, routing_key: str, type: str, payload: Mapping[str, JsonValue]) -> Outgoing:
    """A message in the standard envelope."""
    envelope = {
        "id": event.id,
        "timestamp": _said(event.time),
        "routing_key": routing_key,
        "payload": payload,
        "source": SOURCE,
    }
    return Outgoing(_short(routing_key), event.id, _short(type), _json(envelope), {STORE: store_of(event)})


def announcement(event: Event, task: Task) -> Outgoing:
    """Here is a task to be done: its payload, and beside it what everybody who may do it has to know."""
    about: dict[str, JsonValue] = {
        "task_id": task.id,
        "type": task.type,
        "title": task.title or None,
        "agent_id": task.assigned_to,
        "priority": None if task.priority == "normal" else task.priority,
        "queue": task.queue,
        "capabilities": list(task.capabilities) or None,
        "workflow_id": task.workflow_id,
    }
    said = {name: value for name, value in about.items() if value is not None}
    return enveloped(event, TASK_CREATED, task.type, {**task.payload, **said})


def letter(event: Event, task: Task, history: list[JsonValue]) -> Outgoing:
    """A task that failed for good, for whoever looks after dead letters: its announcement, with what happened."""
    error = (task.error or {}).get("error", "")
    headers: dict[str, str | int] = {
        REASON: TASK_FAILED_FOR_GOOD,
        SAYS: sayable(str(error))[:SAYS_CHARS],
        TASK: task.id,
        AT: _said(event.time),
        HISTORY: _within(history),
    }
    message = announcement(event, task)
    return replace(message, headers={**message.headers, **headers}, dead=True)


def _within(history: list[JsonValue]) -> str:
    """The newest of it that there is room for, as JSON."""
    for start in range(len(history)):
        if len(written := to_json(history[start:])) <= MOST_HISTORY:
            return written.decode()
    return "[]"


def response(event: Event, task: Task) -> Outgoing:
    """What became of a task, as its creator reads it: not in an envelope, which the message's properties are."""
    status = event.type.removeprefix("task.")  # the task may have begun anew since
    key = TASK_COMPLETED if status == "completed" else TASK_FAILED
    body = _json({**answer(task, event.time), "status": status})
    return Outgoing(key, event.id, _short(f"{task.type}{SUFFIX}"), body, {STORE: store_of(event)})


def store_of(event: Event) -> str:
    """The id of the store whose log has this event: what comes before its number."""
    return event.id.rpartition("-")[0]


def answer(task: Task, at: datetime) -> dict[str, JsonValue]:
    """The outcome of a task, in the shape in which it is read outside."""
    result = task.result or {}
    said: dict[str, JsonValue] = {
        "task_id": outer_id(task),
        "type": f"{task.type}{SUFFIX}",
        "status": task.status,
        **_asked_for(task),
        "response": blocks_of(task),
        "timestamp": _said(at),
    }
    rest = {name: value for name, value in result.items() if name not in said}
    if task.error is not None:
        rest["error"] = cast("JsonValue", task.error)
    if COORDINATED in task.payload:
        rest[COORDINATED] = task.payload[COORDINATED]
    return {**said, **rest}


def _asked_for(task: Task) -> dict[str, JsonValue]:
    """What the response repeats of the request."""
    kind = (task.result or {}).get("analysis_type", task.payload.get("analysis_type"))
    return {} if kind is None else {"analysis_type": kind}


def blocks_of(task: Task) -> list[JsonValue]:
    """The response's blocks: those of the result, or the whole result of somebody who knows none as one block."""
    blocks = (task.result or {}).get("response")
    if isinstance(blocks, list):
        return blocks
    if task.result:
        return [{"type": "text", "text": json.dumps(task.result, ensure_ascii=False)}]
    return []


def outer_id(task: Task) -> str:
    """The id of a task as it was given by whoever asked for it."""
    given = task.payload.get("task_id")
    return given if COORDINATED in task.payload and isinstance(given, str) else task.id


def task_report(event: Event, task: Task) -> Outgoing:
    """How a task of a coordinated workflow stands."""
    agent = event.source if event.source is not None else task.assigned_to
    payload: dict[str, JsonValue] = {
        COORDINATED: task.payload[COORDINATED],
        "type": "task_status",
        "task_id": outer_id(task),
        "status": event.type.removeprefix("task."),
        "agent": agent,
    }
    return enveloped(event, REPORT, "task_status", payload)


def workflow_report(event: Event, workflow: Workflow, tasks: list[Task]) -> Outgoing:
    """How a coordinated workflow stands; at its end with what all its tasks came to."""
    status = event.type.removeprefix("workflow.")
    payload: dict[str, JsonValue] = {
        COORDINATED: workflow.metadata[COORDINATED],
        "type": "coordination_status",
        "status": "accepted" if status == "created" else status,
    }
    if not workflow.going_on:
        payload["results"] = _within_reason([answer(task, task.updated_at) for task in tasks])
        payload["error"] = cast("JsonValue", workflow.error)
    return enveloped(event, REPORT, "coordination_status", payload)


def rejection(event: Event) -> Outgoing:
    """A request for a coordinated workflow that became a dead letter: its end, with the reason."""
    status: dict[str, JsonValue] = {"type": "coordination_status", "status": "rejected"}
    return enveloped(event, REPORT, "coordination_status", {**event.data, **status})


def _within_reason(answers: list[dict[str, JsonValue]]) -> list[JsonValue]:
    """All of them, without what they came to where that would be too much: each was sent by itself."""
    if len(to_json(answers)) <= MOST_RESULTS:
        return list[JsonValue](answers)
    return [{name: each[name] for name in ("task_id", "type", "status", "timestamp")} for each in answers]


def grave(message: Outgoing, error: Exception) -> Outgoing:
    """The dead letter in place of a message that no broker would take."""
    headers = {REASON: "unsendable", SAYS: sayable(str(error))[:SAYS_CHARS], AT: _said(datetime.now(UTC))}
    body = message.body if len(message.body) <= MOST_RESULTS else b"{}"
    return Outgoing(UNSENDABLE, message.message_id, UNSENDABLE, body, headers, dead=True)


def system_event(event: Event) -> Outgoing:
    """An event that concerns everybody."""
    name = event.type if event.type.startswith("system.") else f"system.{event.type.replace('.', '_')}"
    payload: dict[str, JsonValue] = {"type": event.type, "source": event.source, **event.data}
    return enveloped(event, name, event.type, payload)


def notification(event: Event) -> Outgoing:
    """Something that a person is to be told."""
    return enveloped(event, NOTIFICATION, NOTIFICATION, event.data)


def _short(name: str) -> str:
    """As much of a name as AMQP has room for."""
    return name.encode()[:MOST_OF_A_NAME].decode(errors="ignore")


def _said(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _json(value: object) -> bytes:
    return to_json(value)
