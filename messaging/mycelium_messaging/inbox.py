"""The queues besides the one of tasks that a team reads: requests to several agents, and events of the system."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from mycelium.errors import StoreError
from mycelium_messaging.connection import Broker, Delivery
from mycelium_messaging.intake import Intake
from mycelium_messaging.names import COORDINATION_INTAKE, EVENTS_INTAKE, queue

log = logging.getLogger("mycelium.messaging")

PREFETCH: Final = 10
PAUSE: Final = 1.0
"""Seconds before the next message where the store could not be used."""


async def read_inboxes(broker: Broker, intake: Intake) -> None:
    """Take in what comes, for ever."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, broker, COORDINATION_INTAKE, intake.take_coordination)
        tasks.start_soon(_read, broker, EVENTS_INTAKE, intake.take_system_event)


async def _read(broker: Broker, suffix: str, take: Callable[[Delivery], Awaitable[None]]) -> None:
    async with broker.consume(queue(broker.settings, suffix), PREFETCH) as consumer:
        while True:
            try:
                await take(await consumer.get())
            except anyio.EndOfStream:
                return
            except StoreError as error:
                log.warning("a message waits in %s: %s", consumer.queue, error)
                await anyio.sleep(PAUSE)
            except Exception:  # a boundary: one message must not end the reading of all others
                log.exception("a message of %s could not be taken in", consumer.queue)
                await anyio.sleep(PAUSE)
