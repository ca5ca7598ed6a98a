"""One process's part in messaging: the broker, and the relay to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from mycelium import Mycelium
from mycelium.settings.network import RabbitMQ
from mycelium_messaging.connection import Broker, open_broker
from mycelium_messaging.exchange import BrokerExchange
from mycelium_messaging.inbox import read_inboxes
from mycelium_messaging.intake import Intake
from mycelium_messaging.names import AGENT_TASKS, queue
from mycelium_messaging.relay import Relay
from mycelium_messaging.source import MessageSource


@asynccontextmanager
async def open_relay(m: Mycelium, settings: RabbitMQ) -> AsyncGenerator[Broker]:
    """The broker, and what the store's log tells sent to it whenever it is this process's turn.

    Opens at once, whether the broker is there or not. Raises as `open_broker`.
    """
    async with open_broker(settings, name=f"mycelium {m.agent}") as broker, anyio.create_task_group() as tasks:
        tasks.start_soon(Relay(m, BrokerExchange(broker)).run)
        try:
            yield broker
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_source(broker: Broker, intake: Intake, *, prefetch: int) -> AsyncGenerator[MessageSource]:
    """The queue of tasks for a worker, with the other queues that a team reads taken in beside it."""
    async with (
        broker.consume(queue(broker.settings, AGENT_TASKS), prefetch) as consumer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(read_inboxes, broker, intake)
        try:
            yield MessageSource(broker, consumer, intake)
        finally:
            tasks.cancel_scope.cancel()
