"""The same job in taskiq, with results in Redis. Run by itself, it adds as many jobs as it is told."""

import asyncio
import os
import sys
from importlib import import_module
from typing import Any

aio_pika: Any = import_module("taskiq_aio_pika")  # so: as in network_celery
redis: Any = import_module("taskiq_redis")
results: Any = redis.RedisAsyncResultBackend(os.environ["RESULTS_URL"], result_ex_time=3600)
queue: Any = aio_pika.Queue(name="taskiq", type=aio_pika.QueueType(os.environ["QUEUE_TYPE"]))
broker: Any = aio_pika.AioPikaBroker(
    os.environ["BROKER_URL"], qos=int(os.environ["PREFETCH"]), task_queues=[queue]
).with_result_backend(results)


async def do_nothing(number: int) -> None:
    """The job."""


noop: Any = broker.task(task_name="noop")(do_nothing)


async def fill(jobs: int) -> None:
    """Add jobs, a hundred at a time."""
    await broker.startup()
    for first in range(0, jobs, 100):
        await asyncio.gather(*(noop.kiq(number) for number in range(first, min(first + 100, jobs))))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
