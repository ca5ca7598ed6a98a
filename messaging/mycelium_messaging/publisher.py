"""Publishing with confirms: any number under way at once over one channel."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mycelium_messaging.errors import BrokerAway, BrokerError, QueueFull, TooLargeForBroker, Unroutable
from mycelium_messaging.refusals import PRECONDITION_FAILED
from mycelium_messaging.wire import Channel, Cut, Wire, properties_of

_SIZES: Final = re.compile(r"message size \d+ .*\bmax size (?P<limit>\d+)")


@dataclass(slots=True)
class Sent:
    """One publish that the broker has not settled yet."""

    exchange: str
    routing_key: str
    message_id: str
    size: int
    settled: asyncio.Future[None]
    returned: bool = False


class Publisher:
    """One channel in confirm mode. When it is closed, all that is under way ends, and so does the connection."""

    def __init__(self, channel: Channel, wire: Wire) -> None:
        self._channel = channel
        self._wire = wire
        self._sent: dict[int, Sent] = {}
        self._last_tag = 0
        self._all_settled = asyncio.Event()

    @classmethod
    async def open(cls, wire: Wire) -> Publisher:
        channel = await wire.open_channel()
        publisher = cls(channel, wire)
        await channel.confirm(publisher._settled, publisher._returned)
        channel.when_gone(publisher._gone)
        wire.when_stalled(publisher._stalled)
        return publisher

    @property
    def open_for_more(self) -> bool:
        return self._channel.cut is None

    def publish(
        self, exchange: str, routing_key: str, body: bytes, message_id: str, properties: dict[str, Any]
    ) -> asyncio.Future[None]:
        """Send it now. What is returned, to be awaited, is done when the broker has the message for good.

        Raises, here or there:
            BrokerAway, Unroutable, QueueFull, TooLargeForBroker
            ValueError: AMQP has no way to write these properties.
        """
        sent = Sent(exchange, routing_key, message_id, len(body), asyncio.get_running_loop().create_future())
        try:
            self._channel.publish(exchange, routing_key, body, properties_of(message_id, **properties))
        except Cut as cut:
            raise _lost(cut) from None
        self._last_tag += 1
        self._sent[self._last_tag] = sent
        return sent.settled

    async def flush(self) -> None:
        """Return when nothing is under way."""
        while self._sent:
            self._all_settled.clear()
            await self._all_settled.wait()

    def _settled(self, tag: int, up_to: bool, taken: bool) -> None:
        if up_to:
            for each in self._tags_up_to(tag):
                self._settle(self._sent.pop(each), taken)
        elif (sent := self._sent.pop(tag, None)) is not None:
            self._settle(sent, taken)
        if not self._sent:
            self._all_settled.set()

    def _tags_up_to(self, tag: int) -> list[int]:
        tags: list[int] = []
        for each in self._sent:  # in the order they were sent
            if each > tag:
                break
            tags.append(each)
        return tags

    def _settle(self, sent: Sent, taken: bool) -> None:
        if sent.settled.done():  # whoever published it was cancelled
            return
        if sent.returned:
            sent.settled.set_exception(_unroutable(sent))
        elif not taken:
            sent.settled.set_exception(_full(sent))
        else:
            sent.settled.set_result(None)

    def _returned(self, exchange: str, routing_key: str, message_id: str | None) -> None:
        """The confirm follows; of several that look alike, the first one sent comes back first."""
        for sent in self._sent.values():
            if (sent.message_id, sent.routing_key, sent.exchange, sent.returned) == (
                message_id,
                routing_key,
                exchange,
                False,
            ):
                sent.returned = True
                return

    def _stalled(self) -> None:
        """Nobody waits longer for a broker that takes nothing; what is on its way may arrive all the same."""
        if self._wire.stalled:
            self._end(lambda _sent: _alarm(self._wire.stalled))

    def _gone(self, cut: Cut) -> None:
        limit = _limit_in(cut)
        self._end(lambda sent: _lost(cut) if sent.size <= limit else _too_large(sent, limit))
        self._wire.close_soon(cut if cut.code == PRECONDITION_FAILED else None)

    def _end(self, why: Callable[[Sent], BrokerError]) -> None:
        lost, self._sent = self._sent, {}
        for sent in lost.values():
            if not sent.settled.done():
                sent.settled.set_exception(why(sent))
        self._all_settled.set()


def _alarm(why: str) -> BrokerAway:
    return BrokerAway(
        f"The broker takes no messages now: memory or disk alarm ({why}).",
        hint="Publish it again when it does; it may arrive twice.",
    )


def _limit_in(cut: Cut) -> float:
    """The size of message up to which this cut is none of its doing."""
    found = _SIZES.search(cut.text) if cut.code == PRECONDITION_FAILED else None
    return int(found["limit"]) if found else math.inf


def _too_large(sent: Sent, limit: float) -> BrokerError:
    return TooLargeForBroker(
        f"RabbitMQ takes no message of {sent.size} bytes, its limit is {limit:.0f}.",
        hint="Raise max_message_size in rabbitmq.conf, or send less; the same message will not do.",
        routing_key=sent.routing_key,
        exchange=sent.exchange,
        message_id=sent.message_id,
        size=sent.size,
        limit=int(limit),
    )


def _lost(cut: Cut) -> BrokerAway:
    return BrokerAway(
        f"The connection was lost before the broker confirmed: {cut}.", hint="Publish it again; it may arrive twice."
    )


def _unroutable(sent: Sent) -> Unroutable:
    return Unroutable(
        f"No queue takes {sent.routing_key!r} from the exchange {sent.exchange!r}.",
        hint="`mycelium topology` shows which routing keys lead where.",
        routing_key=sent.routing_key,
        exchange=sent.exchange,
        message_id=sent.message_id,
    )


def _full(sent: Sent) -> QueueFull:
    return QueueFull(
        f"RabbitMQ has not kept a message for {sent.routing_key!r}: a queue takes no more, or has trouble of its own.",
        hint="Try again later. `mycelium topology` shows how full the queues are, of which rabbitmq.max_length is the "
        "limit; where none is full, RabbitMQ's log says more.",
        routing_key=sent.routing_key,
        exchange=sent.exchange,
        message_id=sent.message_id,
    )
