"""Dead letters: messages that nobody here can act on, kept with the reason until a person looks.

Ours carry the reason in headers (`x-mycelium-…`). Those that RabbitMQ puts there itself (a message that waited too
long, or was rejected) carry its own header `x-death`. Both are read into the same `Letter`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import anyio

from mycelium_messaging import names
from mycelium_messaging.connection import Broker
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.envelope import iso_8601
from mycelium_messaging.errors import BrokerAway, QueueFull, Unroutable
from mycelium_messaging.letter import (
    AT,
    DEATHS,
    EXCHANGE,
    HISTORY,
    OURS,
    QUEUE,
    REASON,
    REPLAYED,
    SAYS,
    SAYS_CHARS,
    TASK,
    Letter,
    letter_of,
    message_id,
    sayable,
)
from mycelium_messaging.link import pauses
from mycelium_messaging.names import STORE

log = logging.getLogger("mycelium.messaging")

HISTORY_BYTES: Final = 16 * 1024
HEADER_BYTES: Final = 48 * 1024
"""All headers must fit in one frame, of which RabbitMQ takes 128 KiB: whatever came with more is buried without."""
PUT_BACK: Final = 2.0
"""Seconds that it may take until letters that were only read can be read again."""

Again: TypeAlias = Callable[[Letter], Awaitable[bool]]
"""Sees to a letter in another way than sending it again; False if it cannot."""


async def bury(
    broker: Broker,
    delivery: Delivery,
    code: str,
    says: str,
    *,
    task: str | None = None,
    history: Sequence[Any] = (),
) -> bool:
    """Move a message to the dead letters, with the reason, and ack it there: it is in one of both at any time.

    Waits for a broker that is away. False where it is no longer ours: it comes again then, to be buried again; the id
    tells that both are the same.
    """
    headers = _headers(delivery, code, says, task, history)
    attempt = 0
    while delivery.ours:
        try:
            await _publish(broker, delivery, headers)
        except (BrokerAway, QueueFull, Unroutable) as error:
            await anyio.sleep(pauses(attempt))
            attempt += 1
            if isinstance(error, Unroutable):  # somebody has deleted the queue
                await _mend(broker)
        else:
            await delivery.ack()
            log.warning(
                "message %s of %s is a dead letter: %s (%s)", message_id(delivery), delivery.queue, code, headers[SAYS]
            )
            return True
    return False


async def _mend(broker: Broker) -> None:
    with suppress(BrokerAway):  # the next try will tell
        await broker.declare()


async def _publish(broker: Broker, delivery: Delivery, headers: dict[str, Any]) -> None:
    brought = _brought(delivery.headers)
    try:
        await _send(broker, delivery, {**brought, **headers})
    except ValueError:  # something among them can be read and not written
        await _send(broker, delivery, headers)


async def _send(broker: Broker, delivery: Delivery, headers: dict[str, Any]) -> None:
    await broker.publish(
        delivery.routing_key,
        delivery.body,
        message_id=message_id(delivery),
        headers=headers,
        type=delivery.type,
        exchange=names.dead_letter_exchange(broker.settings),
        content_type=delivery.content_type or "application/octet-stream",
    )


def _brought(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers that the message came with, without what earlier burials said of it."""
    kept = {
        name: value
        for name, value in headers.items()
        if name not in DEATHS and (not name.startswith(OURS) or name in {REPLAYED, STORE})
    }
    return kept if len(repr(kept).encode(errors="replace")) <= HEADER_BYTES else {}


def _headers(delivery: Delivery, code: str, says: str, task: str | None, history: Sequence[Any]) -> dict[str, Any]:
    said = {
        REASON: code,
        SAYS: sayable(says)[:SAYS_CHARS],
        QUEUE: delivery.queue,
        EXCHANGE: delivery.exchange,
        AT: iso_8601(datetime.now(UTC)),
        TASK: task,
        HISTORY: _bounded(history),
    }
    return {name: value for name, value in said.items() if value is not None}


def _bounded(history: Sequence[Any]) -> str | None:
    """The newest of the history that there is room for, as JSON."""
    if not history:
        return None
    for start in range(len(history)):
        written = json.dumps(history[start:], default=str)
        if len(written) <= HISTORY_BYTES:
            return written
    return None


async def count_letters(broker: Broker) -> int:
    """How many there are."""
    async with broker.channel() as channel:
        return (await channel.count(names.dead_letter_queue(broker.settings)))[0]


async def list_letters(broker: Broker, limit: int) -> Sequence[Letter]:
    """The oldest letters. They stay where they are, in their order."""
    letters: list[Letter] = []
    async with _opened(broker) as walk:
        async for letter, _ in walk(limit):
            letters.append(letter)
    return letters


async def replay_letters(
    broker: Broker, wanted: Collection[str] | None, again: Again | None = None
) -> Sequence[Letter]:
    """Send these letters (None: all) out once more, as they came, and remove each when the broker has it.

    A letter about a task goes to `again` first. What was buried twice is sent once.

    Raises:
        BrokerAway, QueueFull, Unroutable: the rest of them are still there.
    """
    done: list[Letter] = []
    async with _opened(broker) as walk:
        async for letter, delivery in walk(None):
            if wanted is not None and letter.id not in wanted:
                continue
            if letter.id not in {each.id for each in done}:
                await _replay(broker, letter, delivery, again)
            await delivery.ack()
            done.append(letter)
    return done


async def _replay(broker: Broker, letter: Letter, delivery: Delivery, again: Again | None) -> None:
    if letter.task is not None and again is not None and await again(letter):
        return
    await broker.publish(
        letter.routing_key,
        delivery.body,
        message_id=letter.id,
        headers={**_brought(delivery.headers), REPLAYED: letter.replayed + 1},
        type=delivery.type,
        exchange=letter.exchange,  # None where it is not known: then ours
        content_type=delivery.content_type or "application/octet-stream",
    )


async def drop_letters(broker: Broker, wanted: Collection[str] | None) -> Sequence[Letter]:
    """Remove these letters (None: all) for good."""
    dropped: list[Letter] = []
    async with _opened(broker) as walk:
        async for letter, delivery in walk(None):
            if wanted is None or letter.id in wanted:
                await delivery.ack()
                dropped.append(letter)
    return dropped


Walk: TypeAlias = Callable[[int | None], AsyncGenerator[tuple[Letter, Delivery]]]


@asynccontextmanager
async def _opened(broker: Broker) -> AsyncGenerator[Walk]:
    """Lets the letters be walked through, and puts back those that were not settled, to where they were.

    That is what closing a channel does; giving them back one by one would put them behind those that were not read.
    """
    queue = names.dead_letter_queue(broker.settings)
    read: list[Delivery] = []
    async with broker.channel() as channel:

        async def walk(limit: int | None) -> AsyncGenerator[tuple[Letter, Delivery]]:
            there, _ = await channel.count(queue)  # not those that come meanwhile
            for _ in range(there if limit is None else min(there, limit)):
                delivery = await channel.get(queue)
                if delivery is None:
                    return
                yield letter_of(delivery), delivery
                delivery.body = b""  # nobody needs it any more, and there may be many
                read.append(delivery)

        before, _ = await channel.count(queue)
        yield walk
    await _put_back(broker, before - sum(each.settled for each in read))


async def _put_back(broker: Broker, count: int) -> None:
    """Wait until as many letters are there again: a closed channel is noticed a moment later."""
    with anyio.move_on_after(PUT_BACK):  # others may have taken some
        while await count_letters(broker) < count:  # noqa: ASYNC110  nothing tells of it
            await anyio.sleep(0.01)
