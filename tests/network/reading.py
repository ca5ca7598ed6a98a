"""Reading queues as a program does that knows nothing of Mycelium."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import pika
import pika.exceptions

from tests.support.rabbitmq import Names

PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""


@dataclass(frozen=True)
class Message:
    """One message, as it was found."""

    body: bytes
    routing_key: str
    message_id: str | None
    headers: dict[str, Any]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reader:
    """Takes messages from the queues of one corner, acking each."""

    def __init__(self, corner: Names) -> None:
        self._corner = corner

    async def one(self, suffix: str, patience: float = PATIENCE) -> Message:
        """The next message of this queue."""
        return await anyio.to_thread.run_sync(self._one, suffix, patience)

    async def until_consumed(self, suffix: str, patience: float = PATIENCE) -> None:
        """Return when somebody consumes from this queue."""
        await anyio.to_thread.run_sync(self._until_consumed, suffix, patience)

    def _until_consumed(self, suffix: str, patience: float) -> None:
        deadline = time.monotonic() + patience
        connection = self._corner.server.plain()
        try:
            while time.monotonic() < deadline:
                with suppress(pika.exceptions.ChannelClosedByBroker):  # the queue may not be declared yet
                    declared = connection.channel().queue_declare(self._corner.queue(suffix), passive=True)
                    if declared.method.consumer_count:
                        return
                time.sleep(0.02)
        finally:
            connection.close()
        raise AssertionError(f"nobody consumes {suffix} within {patience:g} s")

    async def count(self, suffix: str) -> int:
        """How many messages wait in this queue, all consumers being gone."""
        return await anyio.to_thread.run_sync(self._count, suffix)

    def _count(self, suffix: str) -> int:
        connection = self._corner.server.plain()
        try:
            declared = connection.channel().queue_declare(self._corner.queue(suffix), passive=True)
            count: int = declared.method.message_count
            return count
        finally:
            connection.close()

    def _one(self, suffix: str, patience: float) -> Message:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            # The queue may not be declared yet; one that is just being declared costs the whole connection.
            with suppress(pika.exceptions.ChannelClosedByBroker, pika.exceptions.ConnectionClosedByBroker):
                return self._first(suffix, deadline)
        raise AssertionError(f"nothing came in {suffix} within {patience:g} s")

    def _first(self, suffix: str, deadline: float) -> Message:
        connection = self._corner.server.plain()
        try:
            channel = connection.channel()
            while time.monotonic() < deadline:
                method, properties, body = channel.basic_get(self._corner.queue(suffix), auto_ack=True)
                if method is not None:
                    return Message(body, method.routing_key, properties.message_id, properties.headers or {})
                time.sleep(0.02)
        finally:
            if connection.is_open:
                connection.close()
        raise AssertionError(f"nothing came in {suffix}")


async def publish(
    corner: Names,
    routing_key: str,
    message: object,
    *,
    message_id: str | None = None,
    headers: dict[str, Any] | None = None,
) -> None:
    """Publish a message, JSON unless it is bytes, as a program does that knows nothing of Mycelium."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    await anyio.to_thread.run_sync(_publish, corner, routing_key, body, message_id, headers)


def _publish(
    corner: Names, routing_key: str, body: bytes, message_id: str | None, headers: dict[str, Any] | None
) -> None:
    connection = corner.server.plain()
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(message_id=message_id, delivery_mode=2, headers=headers)
        channel.basic_publish(corner.name, routing_key, body, properties, mandatory=True)
    finally:
        connection.close()
