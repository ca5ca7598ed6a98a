"""Tasks that come as messages, for a worker that takes them from any source."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import anyio

from mycelium_messaging.connection import Broker, Consumer
from mycelium_messaging.intake import Intake, MessageJob

QUIET: Final = 1.0
"""Seconds without a message, after which the queue counts as empty."""


class MessageSource:
    """The queue of tasks, seen from one worker."""

    name = "rabbitmq"

    def __init__(self, broker: Broker, consumer: Consumer, intake: Intake) -> None:
        self._broker = broker
        self._consumer = consumer
        self._intake = intake
        self._taking = 0
        self._busy_at = time.monotonic()

    async def ready(self) -> None:
        """Return when a message is there; never, once it was drained."""
        try:
            await self._consumer.arrived()
        except anyio.EndOfStream:
            await anyio.sleep_forever()

    async def take(self) -> MessageJob | None:
        """Claim the task of the next message; None where it is not for this worker now, or there is none.

        Raises:
            StoreError: the store cannot be used; the message is back in its queue.
        """
        delivery = self._consumer.get_nowait()
        if delivery is None:
            return None
        self._busy_at = time.monotonic()
        self._taking += 1
        try:
            return await self._intake.take_task(delivery)
        finally:
            self._taking -= 1

    async def drain(self) -> None:
        """Bring nothing more: what nobody took goes back to the queue."""
        await self._consumer.stop()

    @property
    def empty(self) -> bool:
        """Whether the broker sends, and has sent nothing for a while."""
        waits = self._taking or self._consumer.pending
        return self._consumer.consuming and not waits and time.monotonic() - self._busy_at > QUIET

    @property
    def connected(self) -> bool:
        return self._broker.connected

    @property
    def buried(self) -> Mapping[str, int]:
        """How many messages were bad, tasks or not, by reason."""
        return self._intake.buried
