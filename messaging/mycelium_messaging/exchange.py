"""Where the relay's messages go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

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

    async def send(self, messages: Sequence[Outgoing]) -> Mapping[str, Exception]:
        """Publish all of these, and return when each is confirmed or refused: by id, why those that were."""
        under_way: dict[str, asyncio.Future[None]] = {}
        refused: dict[str, Exception] = {}
        for message in messages:
            try:
                under_way[message.message_id] = self._publish(message)
            except Exception as error:  # noqa: BLE001 - it is told, when all others have been confirmed
                refused[message.message_id] = error
        try:
            for key, settled in under_way.items():
                try:
                    await settled
                except Exception as error:  # noqa: BLE001 - as above
                    refused[key] = error
        finally:
            for settled in under_way.values():
                settled.cancel()  # what is not told by now never will be
        return refused

    def _publish(self, message: Outgoing) -> asyncio.Future[None]:
        return self._broker.publish(
            message.routing_key,
            message.body,
            message_id=message.message_id,
            type=message.type,
            headers=message.headers,
            exchange=dead_letter_exchange(self._broker.settings) if message.dead else None,
        )
