"""The baseline: pika alone. For each task it publishes a result, and acks the task when that is confirmed."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pika

from mycelium_messaging.names import AGENT_TASKS, TASK_COMPLETED


class Bare:
    """One connection with a channel in each direction."""

    def __init__(self, port: int, name: str, prefetch: int) -> None:
        self._name, self._prefetch = name, prefetch
        self._published = 0
        self._tags: dict[int, int] = {}
        """Of tasks, by those of the results that are not confirmed."""
        self._in: Any = None
        self._out: Any = None
        parameters = pika.ConnectionParameters("127.0.0.1", port)
        self._connection: Any = pika.SelectConnection(parameters, on_open_callback=self._opened)

    def run(self) -> None:
        """Work until killed."""
        self._connection.ioloop.start()

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._may_publish)

    def _may_publish(self, channel: Any) -> None:
        self._out = channel
        channel.confirm_delivery(self._confirmed, callback=self._confirms)

    def _confirms(self, _frame: Any) -> None:
        self._connection.channel(on_open_callback=self._may_take)

    def _may_take(self, channel: Any) -> None:
        self._in = channel
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(f"{self._name}.{AGENT_TASKS}", self._do)

    def _do(self, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        envelope = json.loads(body)
        result: dict[str, Any] = {"task_id": envelope["payload"]["task_id"], "status": "completed", "response": []}
        self._published += 1
        self._tags[self._published] = method.delivery_tag
        properties = pika.BasicProperties(message_id=envelope["id"], content_type="application/json", delivery_mode=2)
        self._out.basic_publish(self._name, TASK_COMPLETED, json.dumps(result).encode(), properties, mandatory=True)

    def _confirmed(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        done = [each for each in self._tags if each <= tag] if frame.method.multiple else [tag]
        for each in done:
            self._in.basic_ack(self._tags.pop(each))


if __name__ == "__main__":
    Bare(int(os.environ["MYCELIUM_RABBITMQ_PORT"]), os.environ["MYCELIUM_RABBITMQ_EXCHANGE"], int(sys.argv[1])).run()
