"""The broker, as the rest of Mycelium sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mycelium.errors import MyceliumError
from mycelium.settings.network import RabbitMQ
from mycelium_messaging.address import host_of, trust_of
from mycelium_messaging.background import background
from mycelium_messaging.consumer import Consumer
from mycelium_messaging.declaring import declare
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.errors import BrokerAway
from mycelium_messaging.link import Link
from mycelium_messaging.publisher import Publisher
from mycelium_messaging.refusals import trouble_of
from mycelium_messaging.wire import Channel, Cut, Wire, hush_pika

__all__ = ["Broker", "Consumer", "Delivery", "open_broker"]


class Broker:
    """RabbitMQ, there or away. What is published and what is consumed go over two connections.

    A broker that runs out of memory stops reading from connections that publish; acks must not wait behind those.
    """

    def __init__(self, settings: RabbitMQ, name: str, tasks: TaskGroup, *, declares: bool, tells: bool) -> None:
        self.settings = settings
        self._tasks = tasks
        self._publisher: Publisher | None = None
        self._out = Link(settings, f"{name} out", self._prepare, declares=declares, tells=tells)
        self._in = Link(settings, f"{name} in", declares=declares, tells=tells)
        self._out.beside(self._in)
        self._listens = False

    @property
    def connected(self) -> bool:
        """Whether it can be published to, and what is consumed comes."""
        return self._out.connected and (self._in.connected or not self._listens)

    @property
    def trouble(self) -> MyceliumError | None:
        """Why it is not connected, as far as the last try could tell."""
        return self._out.trouble or (self._in.trouble if self._listens else None)

    async def wait_connected(self) -> None:
        """Return when it is connected.

        Raises:
            BrokerRefused, TopologyDiffers, InvalidConfig: it will not be before somebody mends that.
        """
        for link in (self._out, self._in) if self._listens else (self._out,):
            while not link.connected:
                if link.trouble is not None and not isinstance(link.trouble, BrokerAway):
                    raise link.trouble
                await link.turn()

    async def connect_now(self) -> None:
        """Return when it is connected, after one try.

        Raises why that failed: BrokerAway, BrokerRefused, TopologyDiffers or InvalidConfig.
        """
        while not self._out.connected:
            if self._out.trouble is not None:
                raise self._out.trouble
            await self._out.turn()

    def publish(
        self,
        routing_key: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[str, Any] | None = None,
        type: str | None = None,
        expiration: int | None = None,
        exchange: str | None = None,
        content_type: str = "application/json",
        timestamp: int | None = None,
    ) -> asyncio.Future[None]:
        """Send it now. What is returned, to be awaited, is done when every queue that it is for has it for good.

        `expiration` is in milliseconds. Never waits for a broker that is away: whoever publishes tries again, and
        `message_id` tells what arrived twice.

        Raises:
            BrokerAway: there is no connection, or it was lost before the confirm.
            Unroutable: no queue takes it.
            QueueFull: a queue takes no more, or has trouble of its own.
            TooLargeForBroker: the broker takes no message of this size.
            ValueError: AMQP has no way to write this key, id or header.
        """
        publisher = self._publisher
        if publisher is None or not self._out.connected:
            raise self._out.away()
        given = {
            "headers": dict(headers) if headers else None,
            "type": type,
            "expiration": None if expiration is None else str(expiration),
            "content_type": content_type,
            "timestamp": timestamp,
        }
        properties = {name: value for name, value in given.items() if value is not None}
        target = self.settings.exchange if exchange is None else exchange
        return publisher.publish(target, routing_key, body, message_id, properties)

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncGenerator[Consumer]:
        """A consumer for as long as this is open. At the end, what is not settled goes back to the queue."""
        self._listen()
        consumer = Consumer(self._in, queue, prefetch)
        async with background() as tasks:
            tasks.start_soon(consumer.run)
            try:
                yield consumer
            finally:
                with anyio.CancelScope(shield=True):
                    await consumer.stop()

    @asynccontextmanager
    async def channel(self) -> AsyncGenerator[Channel]:
        """A channel of one's own, for asking about queues and looking into them.

        Raises:
            BrokerAway, BrokerRefused: it is lost before the end.
        """
        wire = await self._out.wire()
        try:
            channel = await wire.open_channel()
        except Cut as cut:
            raise trouble_of(cut, self.settings) from None
        try:
            yield channel
        except Cut as cut:
            raise trouble_of(cut, self.settings) from None
        finally:
            with anyio.CancelScope(shield=True):
                await channel.close()

    async def declare(self) -> None:
        """Make sure that the exchange and the queues are there, which somebody may have deleted.

        Raises:
            BrokerAway, BrokerRefused, TopologyDiffers
        """
        try:
            await declare(await self._out.wire(), self.settings)
        except Cut as cut:
            raise trouble_of(cut, self.settings) from None

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            self._tasks.start_soon(self._in.run)

    async def _prepare(self, wire: Wire) -> None:
        self._publisher = await Publisher.open(wire)

    async def run(self) -> None:
        await self._out.run()

    async def drain(self) -> None:
        """Wait for confirms that are under way, with patience."""
        if self._publisher is not None and self._out.connected:
            with anyio.move_on_after(self.settings.connection_timeout_seconds):
                await self._publisher.flush()


@asynccontextmanager
async def open_broker(
    settings: RabbitMQ, *, name: str, declares: bool = True, tells: bool = True
) -> AsyncGenerator[Broker]:
    """The broker under these settings: at once, whether it is there or not. `name` is what its administrators read.

    In the background it is connected to, and the exchange and the queues are declared, now and after every loss,
    unless `declares` is false. Why there is no connection goes to the log, unless `tells` is false: then the caller
    tells it. At the end, what was published is waited for, and every ack has arrived.

    Raises:
        InvalidConfig: no host is configured, or a file that TLS needs cannot be used.
    """
    host_of(settings)
    await anyio.to_thread.run_sync(trust_of, settings)
    hush_pika()
    async with background() as tasks:
        broker = Broker(settings, name, tasks, declares=declares, tells=tells)
        tasks.start_soon(broker.run)
        yield broker
        await broker.drain()
