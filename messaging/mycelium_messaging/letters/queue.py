"""The dead letters that are there: counted, read, sent out again, removed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Literal, TypeAlias

import anyio

from mycelium_messaging import names
from mycelium_messaging.connection import Broker
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.letter import REPLAYED, Letter, letter_of
from mycelium_messaging.letters.burial import brought_headers

PUT_BACK: Final = 2.0
"""Seconds that it may take until letters that were only read can be read again."""

MISSING: Final = 5.0
"""Seconds after which a letter that was counted will not come."""
IN_SIGHT: Final = 1000
"""How many letters are read to be listed, whatever few are shown."""
AHEAD: Final = 20
MOST: Final = 65_535
"""How many letters are held at once: where each is settled as it comes, and where they may have to wait.

AMQP has no room for a higher number than that: more are held without one.
"""
WITHOUT_LIMIT: Final = 0

Fate: TypeAlias = Literal["seen to", "sent", "kept"]
"""What is to become of a letter: it is done with, its message goes out again, or it stays."""
Again: TypeAlias = Callable[[Letter], Awaitable[Fate]]
"""Sees to a letter about a task, if it can, in another way than sending the message again."""


async def count_letters(broker: Broker) -> int:
    """How many there are."""
    async with broker.channel() as channel:
        return (await channel.count(names.dead_letter_queue(broker.settings)))[0]


async def list_letters(broker: Broker, limit: int = IN_SIGHT) -> Sequence[Letter]:
    """The oldest letters. They stay where they are.

    They stay in their order, too, if all are read: a quorum queue puts what was read behind what was read before.
    """
    letters: list[Letter] = []

    async def note(letter: Letter, _delivery: Delivery) -> None:
        letters.append(letter)

    await _walk(broker, note, limit=limit, keeps=lambda _letter: False)
    return letters


async def find_letters(broker: Broker, ids: Collection[str]) -> Sequence[Letter]:
    """Those of all letters that have these ids. They stay where they are."""
    found: list[Letter] = []

    async def note(letter: Letter, _delivery: Delivery) -> None:
        if letter.id in ids:
            found.append(letter)

    await _walk(broker, note, keeps=lambda _letter: False)
    return found


async def replay_letters(
    broker: Broker, wanted: Collection[str] | None, again: Again | None = None
) -> Sequence[Letter]:
    """Send these letters (None: all) out once more, as they came, and remove each when the broker has it.

    A letter about a task goes to `again` first, and what that keeps is not among those that are returned. What was
    buried twice is sent once.

    Raises:
        BrokerAway, QueueFull, Unroutable: the rest of them are still there.
    """
    done: list[Letter] = []
    sent: set[tuple[str, bytes]] = set()

    async def replay(letter: Letter, delivery: Delivery) -> None:
        if not _is_wanted(letter, wanted):
            return
        message = letter.id, hashlib.sha256(delivery.body).digest()  # others may have the same id
        if message not in sent:
            if not await _replay(broker, letter, delivery, again):
                return
            sent.add(message)
        await delivery.ack()
        done.append(letter)

    await _walk(broker, replay, keeps=lambda letter: _is_wanted(letter, wanted), ahead=_ahead(wanted))
    return done


async def _replay(broker: Broker, letter: Letter, delivery: Delivery, again: Again | None) -> bool:
    """Whether the letter is done with."""
    fate: Fate = "sent" if letter.task is None or again is None else await again(letter)
    if fate != "sent":
        return fate == "seen to"
    await broker.publish(
        letter.routing_key,
        delivery.body,
        message_id=letter.id,
        headers={**brought_headers(delivery.headers), REPLAYED: letter.replayed + 1},
        type=delivery.type,
        exchange=letter.exchange,  # None where it is not known: then ours
        content_type=delivery.content_type or "application/octet-stream",
    )
    return True


async def drop_letters(broker: Broker, wanted: Collection[str] | None) -> Sequence[Letter]:
    """Remove these letters (None: all) for good."""
    dropped: list[Letter] = []

    async def drop(letter: Letter, delivery: Delivery) -> None:
        if _is_wanted(letter, wanted):
            await delivery.ack()
            dropped.append(letter)

    await _walk(broker, drop, keeps=lambda _letter: False, ahead=_ahead(wanted))
    return dropped


def _is_wanted(letter: Letter, wanted: Collection[str] | None) -> bool:
    return wanted is None or letter.id in wanted


def _ahead(wanted: Collection[str] | None) -> int:
    """How many to hold at once: those that stay are held until the end."""
    return AHEAD if wanted is None else MOST


async def _walk(
    broker: Broker,
    visit: Callable[[Letter, Delivery], Awaitable[None]],
    *,
    keeps: Callable[[Letter], bool],
    limit: float = math.inf,
    ahead: int = MOST,
) -> None:
    """Visit the letters that are there now, oldest first, and put back those that were not settled, in their order.

    Closing the channel does that, if all came by one consumer; to give them back one by one would put them behind
    those that were not read. There may be many, so only a body that `keeps` asks for is kept until the visit.
    """
    queue = names.dead_letter_queue(broker.settings)
    coming, arrived = anyio.create_memory_object_stream[tuple[Letter, Delivery]](math.inf)

    def take(delivery: Delivery) -> None:
        letter = letter_of(delivery)
        if not keeps(letter):
            delivery.body = b""
        coming.send_nowait((letter, delivery))

    settled = 0
    with coming, arrived:
        async with broker.channel() as channel:
            before, _ = await channel.count(queue)
            count = int(min(before, limit))
            if count:
                prefetch = min(count, ahead) if ahead < MOST or count <= MOST else WITHOUT_LIMIT
                await channel.consume(queue, prefetch, take, channel.close_soon)
            for _ in range(count):
                came = None
                with anyio.move_on_after(MISSING):  # somebody else may have taken it
                    came = await arrived.receive()
                if came is None:
                    break
                await visit(*came)
                settled += came[1].settled
    await _put_back(broker, before - settled)


async def _put_back(broker: Broker, count: int) -> None:
    """Wait until as many letters are there again: a closed channel is noticed a moment later."""
    with anyio.move_on_after(PUT_BACK):  # others may have taken some
        while await count_letters(broker) < count:  # noqa: ASYNC110  nothing tells of it
            await anyio.sleep(0.01)
