"""The relay: from the log to the exchange, at least once, in the log's order.

One of all processes does it, elected as the housekeeper is. A cursor is saved after RabbitMQ has confirmed what lies
before it, so whatever is cut off in between is sent again, under the same message id. While the broker is away the
events wait in the log: nothing is lost, and nobody is held up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import anyio

from mycelium import Mycelium, MyceliumError, rules
from mycelium.backend import Bell
from mycelium.client.turn import Turn
from mycelium.models import Event, Keeper, Task, TaskQuery
from mycelium_messaging.errors import BrokerAway
from mycelium_messaging.history import last_before
from mycelium_messaging.lanes import CHANNELS, LANES, Lane, to_be_had
from mycelium_messaging.outgoing import Outgoing, announcement, store_of

log = logging.getLogger("mycelium.messaging")

DUTY: Final = "relay"
PAGE: Final = 500
"""Events that are dealt with at once."""
GATHERING: Final = 0.005
"""Seconds for which events gather, once the relay has caught up: one look then does for many."""
LOOK: Final = 1.0
"""Seconds between two looks at whose turn it is, and at most between two looks at the log."""
END_WITHIN: Final = 5.0
"""Seconds for what is left to be sent at the end."""
LEAD: Final = timedelta(seconds=60)
"""What was told for so long before anybody relayed for the first time goes out, too: the team was just starting."""
REST: Final = 2.0
"""Seconds for which a lane rests whose messages the broker does not take."""


class Exchange(Protocol):
    """Where messages go."""

    @property
    def connected(self) -> bool: ...

    async def wait_connected(self) -> None: ...

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Publish all of these, and return when every one is confirmed. Raises the first that went wrong."""
        ...


@dataclass(slots=True)
class Pace:
    """How far one lane is."""

    lane: Lane
    cursor: int
    rests_until: float = 0.0

    @property
    def rests(self) -> bool:
        return time.monotonic() < self.rests_until


class RelayTurn(Turn):
    """Whose turn it is to relay, and how far they have got."""

    def __init__(self, m: Mycelium) -> None:
        super().__init__(m.backend, DUTY, m.agent)
        self.cursors: Mapping[str, int] | None = None
        """How far whoever had it before was; None where nobody has done this yet."""

    def _begin(self, keeper: Keeper, *, first: bool) -> None:
        self.cursors = None if first or not keeper.cursors else keeper.cursors

    async def save(self, cursors: Mapping[str, int]) -> None:
        """Save how far this client has got, which is a sign of life, too."""
        committed = await self._backend.commit(
            lambda view: rules.keep_duty(view, self._duty, self._id, cursors=cursors)
        )
        if not self.beaten(committed.result):
            log.warning("another process relays now: this one was silent for too long")


class Relay:
    """Relays while it is its turn. Made for one client and one exchange."""

    def __init__(self, m: Mycelium, exchange: Exchange) -> None:
        self._m = m
        self._exchange = exchange
        self._turn = RelayTurn(m)
        self._paces: dict[str, Pace] = {}
        self.sent = 0
        """Messages that were confirmed."""

    async def run(self) -> None:
        """Relay for ever, or watch whoever does."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._end)
            bell = await stack.enter_async_context(self._m.backend.changes())
            while True:
                try:
                    await self._relay_or_watch(bell)
                except MyceliumError as error:
                    log.warning("relaying failed and will be tried again: %s", error)
                    await anyio.sleep(LOOK)
                except Exception:
                    log.exception("relaying failed unexpectedly and will be tried again")
                    await anyio.sleep(LOOK)

    async def _relay_or_watch(self, bell: Bell) -> None:
        if not self._turn.mine:
            await self._turn.watch()
            if not self._turn.mine:
                await anyio.sleep(LOOK)
                return
            await self._begin()
        if not await self.step():
            if self._turn.beat_is_due():
                await self._turn.save({})
            with anyio.move_on_after(LOOK):
                await bell.wait()
            await anyio.sleep(GATHERING)

    async def _begin(self) -> None:
        """Go on where the last one was; where there was none, with what was told just now, and the tasks of before."""
        cursors, since = self._turn.cursors or {}, datetime.now(UTC) - LEAD
        start = await last_before(self._m, since, within=1)
        self._paces = {name: Pace(lane, cursors.get(name, start)) for name, lane in LANES.items()}
        if self._turn.cursors is None:
            await self._announce(since)
            await self._save()

    async def _announce(self, until: datetime) -> None:
        """Tell of the tasks that have been there to be claimed since before that time."""
        newest = (await self._m.latest_events(limit=1)).events
        store = store_of(newest[-1]) if newest else ""
        cursor: str | None = None
        while True:
            page = await self._m.backend.find(TaskQuery(ready=True, limit=PAGE, cursor=cursor))
            await self._exchange.wait_connected()
            ready = [task for task in page.records if to_be_had(task) and task.updated_at < until]
            await self._send([announcement(_found(store, task), task) for task in ready])
            if (cursor := page.cursor) is None:
                return

    async def step(self) -> bool:
        """Relay the next events of the lanes that are furthest behind; whether there were any."""
        going = {name: pace for name, pace in self._paces.items() if not pace.rests}
        if not going or not self._exchange.connected:
            return False
        after = min(pace.cursor for pace in going.values())
        behind = {name: pace for name, pace in going.items() if pace.cursor == after}
        until = min((pace.cursor for pace in going.values() if pace.cursor > after), default=None)
        page = await self._m.read_events(CHANNELS, after=after, limit=PAGE)
        end = page.cursor if until is None else min(page.cursor, until)
        if end == after:
            return False
        events = [event for event in page.events if event.seq <= end]
        async with anyio.create_task_group() as tasks:
            for name, pace in behind.items():
                tasks.start_soon(self._pass, name, pace, events, end)
        await self._save()
        return bool(events)

    async def _pass(self, name: str, pace: Pace, events: Sequence[Event], end: int) -> None:
        """Send what one lane makes of these events; where that cannot be, it is tried again later."""
        try:
            await self._send(await pace.lane(self._m, events))
        except BrokerAway:
            return
        except MyceliumError as error:
            log.warning("the lane of %s rests, its messages are not taken: %s", name, error)
            pace.rests_until = time.monotonic() + REST
        else:
            pace.cursor = end

    async def _send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            await self._exchange.send(messages)
            self.sent += len(messages)

    async def _save(self) -> None:
        await self._turn.save({name: pace.cursor for name, pace in self._paces.items()})

    async def _end(self) -> None:
        """Send what is there to be sent, and leave the rest to others."""
        with anyio.move_on_after(END_WITHIN, shield=True):
            try:
                while self._turn.mine and await self.step():
                    pass
                await self._turn.leave()
            except MyceliumError as error:
                log.info("the relay was not handed over: %s", error)


def _found(store: str, task: Task) -> Event:
    """What stands for the event that made this task ready, which was before anybody relayed."""
    return Event.model_construct(
        seq=0,
        id=f"{store}-ready.{task.id.replace('-', '.')}",
        channel="tasks:events",
        type="task.ready",
        source=None,
        time=task.updated_at,
    )
