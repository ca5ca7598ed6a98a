"""What agents may add to the log themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mycelium.errors import InvalidInput
from mycelium.models import AGENTS, TASKS, WORKFLOWS
from mycelium.rules.view import Change, NewEvent, View

RESERVED: Final = {TASKS: "task.", AGENTS: "agent.", WORKFLOWS: "workflow."}
"""On these channels Mycelium itself reports; the prefix marks what only it may say there."""


def publish_event(_view: View, channel: str, type: str, source: str | None, data: Mapping[str, object]) -> Change[None]:
    """Add an event.

    Raises:
        InvalidInput: it looks like one of Mycelium's own.
    """
    prefix = RESERVED.get(channel)
    if prefix is not None and type.startswith(prefix):
        raise InvalidInput(
            f"Only Mycelium itself publishes {prefix}* on {channel}.",
            hint="Use another type, or a channel of your own.",
            fields=["type"],
        )
    return Change(None, events=(NewEvent(channel, type, source, data),))


def publish_events(view: View, new: Sequence[NewEvent]) -> Change[None]:
    """Add events in this order, all or none. Raises as `publish_event` does."""
    each = (publish_event(view, event.channel, event.type, event.source, event.data) for event in new)
    return Change(None, events=[event for change in each for event in change.events])
