"""The verbs for events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import iscoroutinefunction
from typing import Annotated, TypeAlias, cast

import anyio
from pydantic import Field, JsonValue

from mycelium import rules
from mycelium.backend import Bell
from mycelium.client.base import Base, is_whole, log, within
from mycelium.errors import InvalidCursor, InvalidInput
from mycelium.models import Event, EventPage, EventQuery, validated
from mycelium.models.base import Channel, JsonObject, Label, Model

Callback: TypeAlias = Callable[[Event], Awaitable[None]]


class Publication(Model):
    """For checking an event that came from outside."""

    channel: Channel
    type: Label
    data: JsonObject


class Channels(Model):
    """For checking channel names that came from outside."""

    channels: Annotated[tuple[Channel, ...], Field(max_length=100)]


class EventVerbs(Base):
    """Publish, read and follow the store's log."""

    _subscriptions: dict[str, list[anyio.CancelScope]]

    async def publish_event(
        self, channel: str, data: Mapping[str, JsonValue] | None = None, *, type: str | None = None
    ) -> Event:
        """Add an event to the log and return it, numbered. `type` is `data["event"]`, or "message", unless given."""
        kind = type_in(data) if type is None else type
        said = validated(Publication, channel=channel, type=kind, data={} if data is None else data)
        committed = await self.backend.commit(
            lambda view: rules.publish_event(view, said.channel, said.type, self.agent, said.data)
        )
        (event,) = committed.events
        return event

    async def read_events(
        self, channels: Sequence[str] = (), *, after: int = 0, limit: int = 100, wait_seconds: float = 0
    ) -> EventPage:
        """Up to `limit` events (1 to 1000) numbered above `after`, oldest first; all channels unless named.

        Where there is none, it waits up to `wait_seconds` (at most 3600) for the first. Read on from `cursor`.

        Raises:
            InvalidCursor: `after` is negative or beyond the log's end.
        """
        within("limit", limit, 1, 1000, whole=True)
        within("wait_seconds", wait_seconds, 0, 3600)
        names = validated(Channels, channels=channels).channels
        await self._check_cursor(after)
        page = await self._read(EventQuery(after=after, channels=names, limit=limit))
        if page.events or not wait_seconds:
            return page
        async with self.backend.changes() as bell:
            with anyio.move_on_after(wait_seconds):
                return await self._first(EventQuery(after=page.cursor, channels=names, limit=limit), bell)
        return page

    async def latest_events(self, channels: Sequence[str] = (), *, limit: int = 20) -> EventPage:
        """The newest `limit` events (1 to 1000), oldest first."""
        within("limit", limit, 1, 1000, whole=True)
        names = validated(Channels, channels=channels).channels
        return await self._read(EventQuery(channels=names, limit=limit, newest=True))

    async def follow_events(self, channels: Sequence[str] = (), *, after: int | None = None) -> AsyncGenerator[Event]:
        """Every event numbered above `after` (from now on, unless given), as it comes, without end."""
        names = validated(Channels, channels=channels).channels
        cursor = await self.last_seq() if after is None else after
        await self._check_cursor(cursor)
        async with self.backend.changes() as bell:
            while True:
                page = await self._first(EventQuery(after=cursor, channels=names), bell)
                for event in page.events:
                    yield event
                cursor = page.cursor

    async def last_seq(self) -> int:
        """The number of the newest event, 0 before the first: the cursor for what comes from now on."""
        return await self.backend.last_seq()

    async def subscribe_events(self, channel: str, callback: Callback) -> None:
        """Await `callback` with every event on this channel from now on, one after another.

        Raises:
            InvalidInput: it is no `async def` function, method or object that is called like one.
        """
        validated(Channels, channels=(channel,))
        _check_callback(callback)
        after = await self.last_seq()
        scope = anyio.CancelScope()
        self._subscriptions.setdefault(channel, []).append(scope)
        self._tasks.start_soon(self._deliver, channel, after, callback, scope)

    async def unsubscribe_events(self, channel: str) -> None:
        """End all subscriptions of this client to this channel."""
        (name,) = validated(Channels, channels=(channel,)).channels
        for scope in self._subscriptions.pop(name, []):
            scope.cancel()

    async def _deliver(self, channel: str, after: int, callback: Callback, scope: anyio.CancelScope) -> None:
        with scope:
            async for event in self.follow_events([channel], after=after):
                try:
                    await callback(event)
                except Exception:  # noqa: BLE001 - the callback is the user's: its failure must not end the subscription
                    log.exception("subscriber to %s failed on event %d", channel, event.seq)

    async def _first(self, query: EventQuery, bell: Bell) -> EventPage:
        """The next events, however long it takes. What a ring announced takes one journey to the store."""
        while not (events := await self.backend.events(query)):
            page = await self._read(query)
            if page.events:
                return page
            query = replace(query, after=page.cursor)  # past what was said on other channels
            await bell.wait()
        return EventPage(events, events[-1].seq)

    async def _read(self, query: EventQuery) -> EventPage:
        end = await self.backend.last_seq()
        events = await self.backend.events(query)
        full = len(events) == query.limit
        return EventPage(events, events[-1].seq if events and full else max(end, events[-1].seq if events else 0))

    async def _check_cursor(self, after: int) -> None:
        last_seq = await self.backend.last_seq()
        if not is_whole(after) or not 0 <= after <= last_seq:
            raise InvalidCursor(
                f"No event has that number; the last is {last_seq}.",
                hint="Use the cursor of the last reply, or leave it out.",
                last_seq=last_seq,
            )


def _check_callback(callback: object) -> None:
    while isinstance(callback, partial):
        callback = callback.func
    if not (iscoroutinefunction(callback) or iscoroutinefunction(getattr(callback, "__call__", None))):  # noqa: B004 - asked what it is, not whether it is there
        raise InvalidInput(
            "Invalid callback: it must be an async function.", hint="Write it with `async def`.", fields=["callback"]
        )


def type_in(data: object) -> object:
    """The type that an event's data names, as in `{"event": "saved"}`."""
    return (cast("Mapping[str, object]", data).get("event") if isinstance(data, Mapping) else None) or "message"
