"""How a message comes to the dead letters."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import anyio

from mycelium_messaging import names
from mycelium_messaging.connection import Broker
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.envelope import iso_8601
from mycelium_messaging.errors import BrokerAway, BrokerError, QueueFull, TooLargeForBroker, Unroutable
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
    message_id,
    sayable,
)
from mycelium_messaging.link import pauses
from mycelium_messaging.names import STORE

log = logging.getLogger("mycelium.messaging")

HISTORY_BYTES: Final = 16 * 1024
HEADER_BYTES: Final = 48 * 1024
"""All headers must fit in one frame, of which RabbitMQ takes 128 KiB: whatever came with more is buried without."""


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
        except TooLargeForBroker as error:  # it was there before the limit was: RabbitMQ may still move it itself
            await delivery.reject()
            log.warning(
                "message %s of %s is a dead letter without its reason (%s): %s",
                message_id(delivery),
                delivery.queue,
                code,
                error,
            )
            return True
        else:
            await delivery.ack()
            log.warning(
                "message %s of %s is a dead letter: %s (%s)", message_id(delivery), delivery.queue, code, headers[SAYS]
            )
            return True
    return False


async def _mend(broker: Broker) -> None:
    with suppress(BrokerError):  # the next try will tell
        await broker.declare()


async def _publish(broker: Broker, delivery: Delivery, headers: dict[str, Any]) -> None:
    brought = brought_headers(delivery.headers)
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


def brought_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
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
