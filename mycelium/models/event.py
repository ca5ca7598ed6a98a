"""An event: an immutable, numbered fact in the store's log, on a channel."""

from __future__ import annotations

from typing import Final

from mycelium.models.base import Channel, Count, Id, JsonObject, Label, Model, Moment

TASKS: Final = "tasks:events"
AGENTS: Final = "agents:events"
WORKFLOWS: Final = "workflows:events"


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
