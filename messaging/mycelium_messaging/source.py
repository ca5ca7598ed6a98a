"""Tasks that come as messages, for a worker that takes them from any source."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from mycelium_messaging.connection import Broker, Consumer, Delivery
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
        self._next: deque[Delivery] = deque()
        self._taking = 0
        self._busy_at = time.monotonic()

    async def ready(self) -> None:
        """Return when a message is there. Whoever is cancelled here has taken none."""
        if not self._next:
            self._next.append(await self._consumer.get())
            self._busy_at = time.monotonic()

    async def take(self) -> MessageJob | None:
        """Claim the task of the next message; None where it is not for this worker now, or there is none.

        Raises:
            StoreError: the store cannot be used; the message is back in its queue.
        """
        if not self._next:
            return None
        delivery = self._next.popleft()
        self._taking += 1
        try:
            return await self._intake.take_task(delivery)
        finally:
            self._taking -= 1

    async def drain(self) -> None:
        """Bring nothing more: what nobody took goes back to the queue."""
        await self._consumer.stop()
        while self._next:
            await self._next.popleft().requeue()

    @property
    def empty(self) -> bool:
        """Whether the broker sends, and has sent nothing for a while."""
        waits = self._next or self._taking or self._consumer.pending
        return self._consumer.consuming and not waits and time.monotonic() - self._busy_at > QUIET

    @property
    def connected(self) -> bool:
        return self._broker.connected
