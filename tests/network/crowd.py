"""Asking for many tasks, and reading all answers, as a program does that knows nothing of Mycelium."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import pika
import pika.exceptions

from mycelium_messaging.connection import open_broker
from tests.support.rabbitmq import Names

PATIENCE = 120.0
"""Seconds: a bound for a broken build, generous because the broker is killed meanwhile."""


async def declared(corner: Names, **settings: Any) -> None:
    """Have the exchange and the queues there, before anybody works."""
    async with open_broker(corner.settings(**settings), name="test") as broker:
        with anyio.fail_after(PATIENCE):
            await broker.wait_connected()


def asking(task_id: str, type: str, **payload: Any) -> dict[str, Any]:
    """The message that asks for a task."""
    return {
        "id": f"message-{task_id}",
        "timestamp": "2024-11-01T10:00:00Z",
        "routing_key": "task.created",
        "payload": {"task_id": task_id, "type": type, **payload},
        "source": "test",
    }


async def ask(corner: Names, messages: Sequence[Mapping[str, Any]]) -> int:
    """Publish these, each until the broker has confirmed it; how often that took another try."""
    return await anyio.to_thread.run_sync(_ask, corner, messages)


def _ask(corner: Names, messages: Sequence[Mapping[str, Any]]) -> int:
    left, tries = list(messages), 0
    while left:
        with suppress(pika.exceptions.AMQPError, OSError):
            connection = corner.server.plain()
            try:
                channel = connection.channel()
                channel.confirm_delivery()
                while left:
                    _publish(channel, corner, left[0])
                    del left[0]
            finally:
                with suppress(pika.exceptions.AMQPError, OSError):
                    connection.close()
        tries += bool(left)
        if left:
            threading.Event().wait(0.1)  # not all of a core, while the broker is away
    return tries


def _publish(channel: Any, corner: Names, message: Mapping[str, Any]) -> None:
    properties = pika.BasicProperties(message_id=message["id"], delivery_mode=2, content_type="application/json")
    channel.basic_publish(corner.name, "task.created", json.dumps(message).encode(), properties, mandatory=True)


async def waiting(corner: Names, suffix: str) -> int:
    """How many messages this queue would give to anybody now."""
    return await anyio.to_thread.run_sync(_waiting, corner, suffix)


def _waiting(corner: Names, suffix: str) -> int:
    with closing(corner.server.plain()) as connection:
        return int(connection.channel().queue_declare(corner.queue(suffix), passive=True).method.message_count)


async def take_all(corner: Names, suffix: str, routing_key: str, count: int) -> list[Any]:
    """The first messages of this kind in their order, copies left out. Bounded by whoever calls."""
    return await anyio.to_thread.run_sync(_take_all, corner, suffix, routing_key, count)


def _take_all(corner: Names, suffix: str, routing_key: str, count: int) -> list[Any]:
    found: dict[str, Any] = {}
    deadline = time.monotonic() + PATIENCE
    with closing(corner.server.plain()) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=500)
        for method, properties, body in channel.consume(corner.queue(suffix), inactivity_timeout=0.5):
            if method is not None:
                channel.basic_ack(method.delivery_tag)
                if method.routing_key == routing_key:
                    found.setdefault(properties.message_id, json.loads(body))
            if len(found) >= count:
                return list(found.values())
            assert time.monotonic() < deadline, f"{len(found)} came in {suffix}"
    raise AssertionError("consuming has no end")


@dataclass
class Answers:
    """What has come on `agent_responses`: by task, its answers, each by the id of its message."""

    by_task: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict[str, dict[str, Any]](dict))
    came: int = 0
    """All messages, copies among them."""

    def add(self, body: bytes, message_id: str) -> None:
        answer = json.loads(body)
        self.came += 1
        self.by_task[answer["task_id"]].setdefault(message_id, answer)

    def missing(self, ids: Iterable[str]) -> set[str]:
        return set(ids) - self.by_task.keys()

    @property
    def copies(self) -> int:
        """How many were removed by their ids."""
        return self.came - sum(map(len, self.by_task.values()))


class Collector:
    """Reads the answers of one corner in a thread of its own, across all that happens to the broker."""

    def __init__(self, corner: Names) -> None:
        self.answers = Answers()
        self._corner = corner
        self._over = threading.Event()
        self._lock = threading.Lock()

    async def all_of(self, ids: Sequence[str]) -> None:
        """Return when each of these tasks has an answer. Bounded by whoever calls."""
        while True:
            with self._lock:
                if not self.answers.missing(ids):
                    return
            await anyio.sleep(0.05)

    def run(self) -> None:
        while not self._over.is_set():
            with suppress(pika.exceptions.AMQPError, OSError):
                connection = self._corner.server.plain()
                try:
                    self._read(connection.channel())
                finally:
                    with suppress(pika.exceptions.AMQPError, OSError):
                        connection.close()
            self._over.wait(0.1)

    def _read(self, channel: Any) -> None:
        """Until it is over, and the queue is empty."""
        channel.basic_qos(prefetch_count=100)
        queue = self._corner.queue("agent_responses")
        for method, properties, body in channel.consume(queue, inactivity_timeout=0.1):
            if method is None:
                if self._over.is_set():
                    return
                continue
            with self._lock:
                self.answers.add(body, properties.message_id)
            channel.basic_ack(method.delivery_tag)

    def end(self) -> None:
        self._over.set()


@asynccontextmanager
async def collecting(corner: Names) -> AsyncGenerator[Collector]:
    """Answers as they come for the time of this context; after it, all that there were."""
    collector = Collector(corner)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, collector.run)
        try:
            yield collector
        finally:
            collector.end()
