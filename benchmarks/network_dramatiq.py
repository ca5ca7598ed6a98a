"""The same job in dramatiq, which stores no results. Run by itself, it adds as many jobs as it is told."""

import os
import sys
from importlib import import_module
from typing import Any

dramatiq: Any = import_module("dramatiq")  # so: as in network_celery
redis: Any = import_module("redis")
rabbitmq: Any = import_module("dramatiq.brokers.rabbitmq")
broker: Any = rabbitmq.RabbitmqBroker(url=os.environ["BROKER_URL"])
dramatiq.set_broker(broker)


def do_nothing(number: int, jobs: int) -> None:
    """The job. The last one says that it is."""
    if number == jobs - 1:
        redis.Redis.from_url(os.environ["RESULTS_URL"]).set("done", jobs)


noop: Any = dramatiq.actor(do_nothing, actor_name="noop")

if __name__ == "__main__":
    for each in range(int(sys.argv[1])):
        noop.send(each, int(sys.argv[1]))
