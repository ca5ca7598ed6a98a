"""A message as it came from a queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Settler(Protocol):
    """Whom a delivery is settled with."""

    @property
    def alive(self) -> bool: ...

    def ack(self, tag: int) -> None: ...

    def nack(self, tag: int, *, requeue: bool) -> None: ...


@dataclass(slots=True)
class Delivery:
    """One message that the broker holds for us until it is settled.

    Settling never raises and waits for nothing. Where the channel that brought the message is gone, the broker has
    taken it back already and will deliver it again; then, as for what is settled twice, it does nothing.
    """

    body: bytes
    queue: str
    exchange: str
    routing_key: str
    redelivered: bool
    message_id: str | None
    type: str | None
    headers: Mapping[str, Any]
    """What AMQP's tables can hold; anybody may have written it."""
    content_type: str | None
    correlation_id: str | None
    reply_to: str | None
    expiration: str | None
    timestamp: int | None
    tag: int
    channel: Settler = field(repr=False)
    settled: bool = False

    @property
    def ours(self) -> bool:
        """Whether the broker still holds it for us: it was not settled, and the channel that brought it is there."""
        return not self.settled and self.channel.alive

    async def ack(self) -> None:
        """Let the broker forget it."""
        if not self.settled:
            self.settled = True
            self.channel.ack(self.tag)

    async def requeue(self) -> None:
        """Put it back, for whoever is there: a classic queue has it where it was, a quorum queue behind the others."""
        self._nack(requeue=True)

    async def reject(self) -> None:
        """Hand it to the queue's dead-letter exchange."""
        self._nack(requeue=False)

    def _nack(self, *, requeue: bool) -> None:
        if not self.settled:
            self.settled = True
            self.channel.nack(self.tag, requeue=requeue)
