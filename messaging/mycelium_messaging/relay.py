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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import anyio

from mycelium import Mycelium, MyceliumError, rules
from mycelium.backend import Bell
from mycelium.client.turn import Turn
from mycelium.models import Keeper
from mycelium_messaging.errors import LASTING, BrokerAway
from mycelium_messaging.history import last_before
from mycelium_messaging.lanes import CHANNELS, LANES, Lane
from mycelium_messaging.outgoing import Outgoing, grave
from mycelium_messaging.page import Page
from mycelium_messaging.reminder import Reminder

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
REMINDED: Final = "reminded"
"""What stands among the cursors: 0 while a round of reminders is under way, which another relay begins anew, else 1."""
REST: Final = 2.0
"""Seconds for which a lane rests whose messages the broker does not take."""


class Exchange(Protocol):
    """Where messages go."""

    @property
    def connected(self) -> bool: ...

    async def send(self, messages: Sequence[Outgoing]) -> Mapping[str, Exception]:
        """Publish all of these, and return when each is confirmed or refused: by id, why those that were."""
        ...


@dataclass(slots=True)
class Pace:
    """How far one lane is."""

    lane: Lane
    cursor: int
    confirmed: set[str] = field(default_factory=set[str])
    """The messages after the cursor that are out already, since others of the same page were refused."""
    rests_until: float = 0.0

    @property
    def rests(self) -> bool:
        return time.monotonic() < self.rests_until

    def rest(self) -> None:
        self.rests_until = time.monotonic() + REST


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
        self._begun = False
        self._reminder = Reminder(m)

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
                except Exception:  # a boundary: what cannot be relayed must not end the process
                    log.exception("relaying failed unexpectedly and will be tried again")
                    await anyio.sleep(LOOK)

    async def _relay_or_watch(self, bell: Bell) -> None:
        if not self._turn.mine:
            self._begun = False
            await self._turn.watch()
            if not self._turn.mine:
                await anyio.sleep(LOOK)
                return
        if not self._begun:
            await self._begin()
        if self._turn.beat_is_due():
            await self._save()
        if not await self.step():
            with anyio.move_on_after(LOOK):
                await bell.wait()
            await anyio.sleep(GATHERING)

    async def _begin(self) -> None:
        """Go on where the last one was; where there was none, with what was told just now, and the tasks of before.

        Where the last one died within a round of reminders, another is begun.
        """
        cursors, since = self._turn.cursors, datetime.now(UTC) - LEAD
        start = await last_before(self._m, since, within=1)
        self._paces = {name: Pace(lane, (cursors or {}).get(name, start)) for name, lane in LANES.items()}
        if cursors is None or not cursors.get(REMINDED, 1):
            self._reminder.remind(since)
        await self._save()  # before the broker is there: what is told from now on goes out, whoever relays then
        self._begun = True

    async def step(self) -> bool:
        """Relay the next events of the lanes that are furthest behind; whether there were any."""
        if not self._exchange.connected:
            return False
        reminded = await self._remind()
        going = {name: pace for name, pace in self._paces.items() if not pace.rests}
        if not going:
            return reminded
        after = min(pace.cursor for pace in going.values())
        behind = {name: pace for name, pace in going.items() if pace.cursor == after}
        until = min((pace.cursor for pace in going.values() if pace.cursor > after), default=None)
        found = await self._m.read_events(CHANNELS, after=after, limit=PAGE)
        end = found.cursor if until is None else min(found.cursor, until)
        if end == after:
            return reminded
        page = await Page.of(self._m, [event for event in found.events if event.seq <= end])
        async with anyio.create_task_group() as tasks:
            for name, pace in behind.items():
                tasks.start_soon(self._pass, name, pace, page, end)
        await self._save()
        return bool(page.events)

    async def _pass(self, name: str, pace: Pace, page: Page, end: int) -> None:
        """Send what one lane makes of these events; what the broker refuses is sent again later, and only that."""
        try:
            made = await pace.lane(page)
        except MyceliumError as error:
            log.warning("the lane of %s rests, its messages cannot be made: %s", name, error)
            pace.rest()
            return
        waiting = [message for message in made if message.message_id not in pace.confirmed]
        refused = await self._send(name, waiting)
        if not refused:
            pace.cursor = end
            pace.confirmed.clear()
            return
        pace.confirmed.update(message.message_id for message in waiting if message.message_id not in refused)
        pace.rest()

    async def _send(self, name: str, messages: Sequence[Outgoing]) -> Mapping[str, Exception]:
        """Send these, and bury what no broker would ever take; why others were not taken."""
        if not messages:
            return {}
        refused = dict(await self._exchange.send(messages))
        lasting = {key: error for key, error in refused.items() if isinstance(error, LASTING)}
        if lasting:
            log.error("messages of the lane of %s can never be sent: %s", name, next(iter(lasting.values())))
            graves = [
                grave(message, lasting[message.message_id]) for message in messages if message.message_id in lasting
            ]
            refused = {key: error for key, error in refused.items() if key not in lasting}
            refused |= await self._exchange.send(graves)
        if refused:
            error = next(iter(refused.values()))
            log.log(
                logging.INFO if isinstance(error, BrokerAway) else logging.WARNING,
                "the lane of %s rests: %s",
                name,
                error,
            )
        return refused

    async def _remind(self) -> bool:
        """Announce anew what nobody has claimed for long, since its message may have expired. Whether there was any."""
        messages = await self._reminder.due()
        if not messages:
            return False
        await self._send("reminders", messages)
        return True

    async def _save(self) -> None:
        cursors = {name: pace.cursor for name, pace in self._paces.items()}
        await self._turn.save({**cursors, REMINDED: int(self._reminder.between_rounds)})

    async def _end(self) -> None:
        """Send what is there to be sent, and leave the rest to others."""
        with anyio.move_on_after(END_WITHIN, shield=True):
            try:
                while self._begun and self._turn.mine and await self.step():
                    pass
                if self._begun and self._turn.mine:
                    await self._save()  # a round of reminders may have ended without any event
                await self._turn.leave()
            except MyceliumError as error:
                log.info("the relay was not handed over: %s", error)
