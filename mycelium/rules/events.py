"""What agents may add to the log themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mycelium.errors import InvalidInput
from mycelium.models import AGENTS, TASKS, TRIGGERS, USERS, WORKFLOWS, Notification, Task
from mycelium.rules.draft import Draft, about
from mycelium.rules.view import Change, NewEvent, View, require

RESERVED: Final = {TASKS: "task.", AGENTS: "agent.", WORKFLOWS: "workflow.", TRIGGERS: "trigger.", USERS: "user."}
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
            hint="Use notify_user, or another type."
            if channel == USERS
            else "Use another type, or a channel of your own.",
            fields=["type"],
        )
    return Change(None, events=(NewEvent(channel, type, source, data),))


def publish_events(view: View, new: Sequence[NewEvent]) -> Change[None]:
    """Add events in this order, all or none. Raises as `publish_event` does."""
    each = (publish_event(view, event.channel, event.type, event.source, event.data) for event in new)
    return Change(None, events=[event for change in each for event in change.events])


def notify_user(view: View, said: Notification, source: str | None) -> Change[None]:
    """Add an event that tells a person something, perhaps about a task.

    Raises:
        NotFound: there is no such task.
    """
    draft = Draft(view)
    task = about(require(view, Task, said.task_id)) if said.task_id is not None else {}
    draft.event(
        USERS, "user.notification", source, **task,
        user=said.user, message=said.message, level=said.level, title=said.title or None, data=said.data or None,
    )  # fmt: skip
    return draft.change(None)
