"""Reading queues as a program does that knows nothing of Mycelium."""

import json
import time
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from tests.support.rabbitmq import Names

PATIENCE = 30.0


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

    def _one(self, suffix: str, patience: float) -> Message:
        deadline = time.monotonic() + patience
        connection = self._corner.server.plain()
        try:
            while time.monotonic() < deadline:
                channel = connection.channel()
                try:
                    method, properties, body = channel.basic_get(f"{self._corner.name}.{suffix}", auto_ack=True)
                except Exception as error:
                    if "NOT_FOUND" not in str(error):
                        raise
                    method = None
                if method is not None:
                    return Message(body, method.routing_key, properties.message_id, properties.headers or {})
                time.sleep(0.02)
                if channel.is_open:
                    channel.close()
        finally:
            connection.close()
        raise AssertionError(f"nothing came in {suffix} within {patience:g} s")
