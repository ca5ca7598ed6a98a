"""The same job in dramatiq, which stores no results. Run by itself, it adds as many jobs as it is told."""

import os
import sys
from typing import Any

import dramatiq  # pyright: ignore[reportMissingImports]  it is in a virtual environment of its own
import dramatiq.brokers.rabbitmq  # pyright: ignore[reportMissingImports]
import redis


class Broker(dramatiq.brokers.rabbitmq.RabbitmqBroker):  # pyright: ignore
    """Its own way of choosing the type of queues is none."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": os.environ["QUEUE_TYPE"]}  # pyright: ignore


broker: Any = Broker(url=os.environ["BROKER_URL"])
dramatiq.set_broker(broker)  # pyright: ignore


@dramatiq.actor  # pyright: ignore
def noop(number: int, jobs: int) -> None:
    """Do nothing, but for the last one, which says that it is."""
    if number == jobs - 1:
        redis.Redis.from_url(os.environ["RESULTS_URL"]).set("done", jobs)


if __name__ == "__main__":
    for each in range(int(sys.argv[1])):
        noop.send(each, int(sys.argv[1]))  # pyright: ignore
