"""Jobs that do nothing, published and answered by plain pika, as a program without any code of Mycelium's does it."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final

import anyio
import pika

from mycelium_messaging.connection import open_broker
from mycelium_messaging.names import AGENT_RESPONSES, AGENT_TASKS, TASK_CREATED
from tests.support.rabbitmq import Names

PREFETCH: Final = 100
"""Of the worker, which does as many jobs at once."""
PATIENCE: Final = 120.0
"""Seconds until a worker that brings nothing is given up."""
TYPE: Final = "noop"
NUMBERS: Final = count(1)


@dataclass(frozen=True, slots=True)
class MessageJobs:
    """Tasks in the standard envelope, and their results on the queue of responses."""

    names: Names
    queue_type: str

    def declare(self) -> None:
        """Make sure that the queues are there."""
        anyio.run(self._declare)

    async def _declare(self) -> None:
        settings = self.names.settings(queue_type=self.queue_type, max_length=1_000_000)
        async with open_broker(settings, name="benchmark") as broker:
            with anyio.fail_after(PATIENCE):
                await broker.wait_connected()

    @property
    def environment(self) -> dict[str, str]:
        """How a worker gets there."""
        return {
            "MYCELIUM_RABBITMQ_HOST": "127.0.0.1",
            "MYCELIUM_RABBITMQ_PORT": str(self.names.server.port),
            "MYCELIUM_RABBITMQ_EXCHANGE": self.names.name,
            "MYCELIUM_RABBITMQ_QUEUE_PREFIX": self.names.name,
            "MYCELIUM_RABBITMQ_QUEUE_TYPE": self.queue_type,
            "MYCELIUM_RABBITMQ_MAX_LENGTH": "1000000",
        }

    def publish(self, jobs: int) -> None:
        """Return when they are all in the queue, or with the worker."""
        with closing(self.names.server.plain()) as connection:
            channel = connection.channel()
            queue = self.names.queue(AGENT_TASKS)
            for _ in range(jobs):
                message_id, body = _task()
                properties = pika.BasicProperties(
                    message_id=message_id, content_type="application/json", delivery_mode=2
                )
                channel.basic_publish(self.names.name, TASK_CREATED, body, properties)
            deadline = time.monotonic() + PATIENCE
            while channel.queue_declare(queue, passive=True).method.message_count < jobs - PREFETCH:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{jobs} messages did not arrive in {queue}")
                time.sleep(0.01)

    def finish(self, jobs: int) -> None:
        """Read and ack so many results, of as many tasks."""
        answered: set[str] = set()
        with closing(self.names.server.plain()) as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=1000)
            queue = self.names.queue(AGENT_RESPONSES)
            for method, _, body in channel.consume(queue, inactivity_timeout=PATIENCE):
                if method is None:
                    raise TimeoutError(f"{len(answered)} of {jobs} jobs were answered, then none for {PATIENCE:g} s")
                said = json.loads(body)
                assert said["status"] == "completed", said
                answered.add(said["task_id"])
                channel.basic_ack(method.delivery_tag)
                if len(answered) == jobs:
                    return


def _task() -> tuple[str, bytes]:
    number = next(NUMBERS)
    message_id = f"message-{number}"
    envelope = {
        "id": message_id,
        "timestamp": datetime.now(UTC).isoformat(),
        "routing_key": TASK_CREATED,
        "payload": {"task_id": f"job-{number}", "type": TYPE, "number": number},
        "source": "benchmark",
    }
    return message_id, json.dumps(envelope).encode()
