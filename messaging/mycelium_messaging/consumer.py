"""Consuming from one queue, across lost channels and connections."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

import anyio

from mycelium_messaging.declaring import declare
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.errors import BrokerError
from mycelium_messaging.link import Link, pauses
from mycelium_messaging.refusals import NOT_FOUND
from mycelium_messaging.wire import Channel, Cut

log = logging.getLogger("mycelium.messaging")


class Consumer:
    """Hands out what comes from one queue, by a channel of its own that holds at most `prefetch` unsettled messages.

    A channel that is lost, or closed by the broker because a delivery took longer than its `consumer_timeout`, is
    opened again by itself. What was delivered by the old one comes again.
    """

    def __init__(self, link: Link, queue: str, prefetch: int) -> None:
        self.queue = queue
        self._link = link
        self._prefetch = prefetch
        self._fetched: deque[Delivery] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._channel: Channel | None = None
        self._consumer_tag = ""
        self._stopped = False
        self._told = ""

    @property
    def pending(self) -> int:
        """How many messages have come that nobody has got yet."""
        return len(self._fetched)

    @property
    def consuming(self) -> bool:
        """Whether the broker sends messages now."""
        return self._channel is not None and not self._stopped

    async def get(self) -> Delivery:
        """The next message. Whoever is cancelled here has taken none.

        Raises:
            anyio.EndOfStream: it was stopped.
        """
        await self.arrived()
        return self._fetched.popleft()

    def get_nowait(self) -> Delivery | None:
        """The next message, if one has come."""
        return self._fetched.popleft() if self._fetched else None

    async def arrived(self) -> None:
        """Return when a message has come that nobody has got yet. Raises as `get`."""
        while not self._fetched:
            if self._stopped:
                raise anyio.EndOfStream
            await self._wait()

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake()  # the turn was ours, and is somebody else's now
            else:
                self._waiting.remove(turn)
            raise

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def stop(self) -> None:
        """Get no more: what nobody got yet goes back to the queue; what was got can be settled still."""
        self._stopped = True
        channel, consumer_tag = self._channel, self._consumer_tag
        self._consumer_tag = ""
        try:
            if channel is not None and consumer_tag:
                await channel.cancel(consumer_tag)
        except Cut:
            pass  # then the broker has taken all of it back
        finally:
            while self._fetched:
                await self._fetched.popleft().requeue()
            for turn in self._waiting:
                if not turn.done():
                    turn.set_result(None)
            self._waiting.clear()

    async def run(self) -> None:
        """Keep a channel open until cancelled."""
        attempt = 0
        while True:
            wire = await self._link.wire()
            channel: Channel | None = None
            try:
                channel = await wire.open_channel()
                await self._consume(channel)
                attempt = 0
                self._tell(await channel.gone())
            except Cut as cut:
                self._tell(cut)
                if cut.code == NOT_FOUND:
                    await self._mend()
            finally:
                self._forget()
                if channel is not None:
                    with anyio.CancelScope(shield=True):
                        await channel.close()
            await anyio.sleep(pauses(attempt))
            attempt += 1

    async def _consume(self, channel: Channel) -> None:
        if self._stopped:
            await anyio.sleep_forever()
        self._channel = channel
        self._consumer_tag = await channel.consume(self.queue, self._prefetch, self._take, channel.close_soon)
        self._told = ""
        if self._stopped:  # while the broker was asked
            await self.stop()

    def _take(self, delivery: Delivery) -> None:
        self._fetched.append(delivery)
        self._wake()

    def _forget(self) -> None:
        """What came by a channel that is gone comes again by the next one."""
        self._channel, self._consumer_tag = None, ""
        self._fetched.clear()

    async def _mend(self) -> None:
        """Somebody has deleted the queue."""
        try:
            await declare(await self._link.wire(), self._link.settings)
        except Cut as cut:
            self._tell(cut)
        except BrokerError as error:  # somebody has declared it otherwise since, and has to say what is meant
            if str(error) != self._told:
                self._told = str(error)
                log.warning("consuming from %s ended: %s", self.queue, error)

    def _tell(self, cut: Cut) -> None:
        """Say why the channel is gone, unless the connection is, which tells of itself, or it was said just now."""
        if cut.code and self._link.connected and cut.text != self._told:
            self._told = cut.text
            log.warning("consuming from %s ended (%s); starting again", self.queue, cut)
