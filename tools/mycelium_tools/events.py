"""Tools for events."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mycelium import Mycelium
from mycelium.models import EventPage, Level
from mycelium_tools.arguments import Number, Object, Texts, Whole
from mycelium_tools.lines import event_line
from mycelium_tools.paging import fitting
from mycelium_tools.records import event_record
from mycelium_tools.registry import ADDS, READS, tool
from mycelium_tools.reply import Reply


@tool(ADDS)
async def publish_event(
    m: Mycelium,
    channel: Annotated[str, Field(description="Any name, e.g. team:notes")],
    type: Annotated[str | None, Field(description="e.g. build.done")] = None,
    data: Object | None = None,
) -> Reply:
    """Tell all agents something; it stays in the log."""
    event = await m.publish_event(channel, data, type=type or None)
    return Reply(f"Published as event {event.seq}.", {"event": event_record(event)})


@tool(ADDS)
async def notify_user(
    m: Mycelium,
    user: str,
    message: str,
    title: str = "",
    level: Level = "info",
    task_id: str | None = None,
    data: Object | None = None,
) -> Reply:
    """Tell a person something they should know."""
    event = await m.notify_user(user, message, title=title, level=level, task_id=task_id, data=data)
    return Reply(f"Told {user} in event {event.seq}.", {"event": event_record(event)})


@tool(READS)
async def read_events(
    m: Mycelium,
    channels: Annotated[
        Texts, Field(description="e.g. tasks:events, agents:events, workflows:events; default all")
    ] = [],  # noqa: B006  pydantic copies it for each call
    after: Annotated[Whole | None, Field(description="cursor of last reply; default: the newest")] = None,
    wait_seconds: Annotated[Number, Field(description="Stay under your client's timeout")] = 0,
    limit: Whole = 50,
) -> Reply:
    """The log: SEQ CHANNEL TYPE AGENT DATA. Never poll: wait_seconds blocks until something happens."""
    if after is None and not wait_seconds:
        page = _newest_that_fit(await m.latest_events(channels, limit=limit))
    else:
        start = await m.last_seq() if after is None else after
        page = _first_that_fit(await m.read_events(channels, after=start, limit=limit, wait_seconds=wait_seconds))
    return _reply(page)


def _first_that_fit(page: EventPage) -> EventPage:
    count = fitting(map(event_record, page.events))
    if count >= len(page.events):
        return page
    return EventPage(page.events[:count], page.events[count - 1].seq)


def _newest_that_fit(page: EventPage) -> EventPage:
    count = fitting(map(event_record, reversed(page.events)))
    return EventPage(page.events[-count:], page.cursor)


def _reply(page: EventPage) -> Reply:
    lines = [event_line(event) for event in page.events] or ["Nothing happened."]
    text = "\n".join([*lines, f"next: after={page.cursor}"])
    return Reply(text, {"events": [event_record(event) for event in page.events], "cursor": page.cursor})
