"""Where the relay's messages go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

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
        under_way: list[asyncio.Future[None]] = []
        failures: list[BaseException] = []
        for message in messages:
            try:
                under_way.append(self._publish(message))
            except Exception as error:  # noqa: BLE001 - it is raised below, when all others have been confirmed
                failures.append(error)
        settled = await asyncio.gather(*under_way, return_exceptions=True)
        failures += [error for error in settled if error is not None]
        if failures:
            raise failures[0]

    def _publish(self, message: Outgoing) -> asyncio.Future[None]:
        return self._broker.publish(
            message.routing_key,
            message.body,
            message_id=message.message_id,
            type=message.type,
            headers=message.headers,
            exchange=dead_letter_exchange(self._broker.settings) if message.dead else None,
        )
