"""Where the relay's messages go."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from mycelium_messaging.connection import Broker
from mycelium_messaging.names import dead_letter_exchange
from mycelium_messaging.outgoing import Outgoing


class BrokerExchange:
    """The exchange of a broker, and the one of its dead letters."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def connected(self) -> bool:
        return self._broker.connected

    async def wait_connected(self) -> None:
        await self._broker.wait_connected()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Publish all of these, and return when every one is confirmed. Raises the first that went wrong."""
        failures: list[Exception] = []

        async def publish(message: Outgoing) -> None:
            try:
                await self._publish(message)
            except Exception as error:  # noqa: BLE001 - it is raised below, when all others have been confirmed
                failures.append(error)

        async with anyio.create_task_group() as tasks:
            for message in messages:
                tasks.start_soon(publish, message)
        if failures:
            raise failures[0]

    async def _publish(self, message: Outgoing) -> None:
        await self._broker.publish(
            message.routing_key,
            message.body,
            message_id=message.message_id,
            type=message.type,
            headers=message.headers,
            exchange=dead_letter_exchange(self._broker.settings) if message.dead else None,
        )
