"""The same job in taskiq, with results in Redis. Run by itself, it adds as many jobs as it is told."""

import asyncio
import os
import sys
from typing import Any

import taskiq_aio_pika  # pyright: ignore[reportMissingImports]  it is in a virtual environment of its own
import taskiq_redis  # pyright: ignore[reportMissingImports]

results: Any = taskiq_redis.RedisAsyncResultBackend(os.environ["RESULTS_URL"], result_ex_time=3600)  # pyright: ignore
queue: Any = taskiq_aio_pika.Queue("taskiq", type=taskiq_aio_pika.QueueType(os.environ["QUEUE_TYPE"]))  # pyright: ignore
broker: Any = taskiq_aio_pika.AioPikaBroker(  # pyright: ignore
    os.environ["BROKER_URL"], qos=int(os.environ["PREFETCH"]), task_queues=[queue]
).with_result_backend(results)


@broker.task
async def noop(number: int) -> None:
    """Do nothing."""


async def fill(jobs: int) -> None:
    """Add jobs, a hundred at a time."""
    await broker.startup()
    for first in range(0, jobs, 100):
        await asyncio.gather(*(noop.kiq(number) for number in range(first, min(first + 100, jobs))))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
