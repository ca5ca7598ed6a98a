"""An event: an immutable, numbered fact in the store's log, on a channel."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from mycelium.models.base import Channel, Count, Id, JsonObject, JsonPart, Label, Line, Model, Moment

TASKS: Final = "tasks:events"
AGENTS: Final = "agents:events"
WORKFLOWS: Final = "workflows:events"
USERS: Final = "users:events"
Level = Literal["info", "success", "warning", "error"]


class Event(Model):
    """One entry of the log. `seq` only grows within a store; `id` is unique among all stores."""

    seq: Count
    id: str
    channel: Channel
    type: Label
    source: Id | None = None
    """The agent whose call caused it; None where time did."""
    time: Moment
    data: JsonObject = {}


class Notification(Model):
    """What a person is told. Who they are is for the program that shows it to them to know."""

    user: Label
    message: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    title: Line = ""
    level: Level = "info"
    task_id: Id | None = None
    """The task that it is about."""
    data: JsonPart = {}
    """Whatever else that program can use."""
