"""What agents may add to the log themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mycelium.errors import InvalidInput
from mycelium.models import AGENTS, TASKS, TRIGGERS, WORKFLOWS
from mycelium.rules.view import Change, NewEvent, View

RESERVED: Final = {TASKS: "task.", AGENTS: "agent.", WORKFLOWS: "workflow.", TRIGGERS: "trigger."}
"""On these channels Mycelium itself reports; the prefix marks what only it may say there."""


def is_own(channel: str, type: str) -> bool:
    """Whether only Mycelium itself can have said this."""
    return channel in RESERVED and type.startswith(RESERVED[channel])


def publish_event(_view: View, channel: str, type: str, source: str | None, data: Mapping[str, object]) -> Change[None]:
    """Add an event.

    Raises:
        InvalidInput: it looks like one of Mycelium's own.
    """
    if is_own(channel, type):
        raise InvalidInput(
            f"Only Mycelium itself publishes {RESERVED[channel]}* on {channel}.",
            hint="Use another type, or a channel of your own.",
            fields=["type"],
        )
    return Change(None, events=(NewEvent(channel, type, source, data),))


def publish_events(view: View, new: Sequence[NewEvent]) -> Change[None]:
    """Add events in this order, all or none. Raises as `publish_event` does."""
    each = (publish_event(view, event.channel, event.type, event.source, event.data) for event in new)
    return Change(None, events=[event for change in each for event in change.events])
