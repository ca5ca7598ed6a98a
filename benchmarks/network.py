"""Jobs that do nothing, from RabbitMQ to an acked result, in one worker process; beside it bare pika, and others.

A round begins with all its jobs in the queue and a worker that was held, and ends with the last result: so nobody's
way of publishing is measured. Each works with the same prefetch on durable queues of the same type, and acks a job when
its result is stored. Results of Mycelium and of bare pika come on the queue of responses and are read and acked there by
plain pika; those of Celery and taskiq are counted in Redis, which costs nothing here; dramatiq stores none.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from benchmarks.figures import middle
from benchmarks.network_workers import Engine, cpu_seconds, running
from tests.support.rabbitmq import RabbitMissing, RabbitServer, rabbit_server
from tests.support.redis import RedisMissing, RedisServer, redis_server

WARMING: Final = 500
JOBS: Final = 5_000
"""In a round."""
ROUNDS: Final = 3
QUEUE_TYPES: Final = ("quorum", "classic")
GOAL: Final = 2_000


@dataclass(frozen=True, slots=True)
class Grounds:
    """The servers of one run."""

    rabbit: RabbitServer
    redis: RedisServer
    folder: Path


@dataclass(frozen=True, slots=True)
class Measured:
    """What one worker reached: jobs in a second, and the microseconds of CPU that each took, by whom."""

    rate: float
    worker: float
    broker: float


def measure(engine: Engine, grounds: Grounds) -> Measured:
    """The medians of the rounds, after some jobs to warm up."""
    rounds: list[Measured] = []
    with running(engine, grounds.folder) as worker:
        engine.publish(WARMING)
        engine.finish(WARMING)
        for _ in range(ROUNDS):
            worker.hold()
            engine.publish(JOBS)
            own, others = worker.cpu_seconds, cpu_seconds(grounds.rabbit.pid)
            begun = time.perf_counter()
            worker.go()
            engine.finish(JOBS)
            taken = time.perf_counter() - begun
            own, others = worker.cpu_seconds - own, cpu_seconds(grounds.rabbit.pid) - others
            rounds.append(Measured(JOBS / taken, 1e6 * own / JOBS, 1e6 * others / JOBS))
    return Measured(*(middle([getattr(each, name) for each in rounds]) for name in ("rate", "worker", "broker")))


@contextmanager
def _grounds(folder: Path) -> Generator[Grounds | None]:
    place = folder / f"network-{uuid4().hex[:8]}"
    place.mkdir()
    with ExitStack() as stack:
        try:
            rabbit = stack.enter_context(rabbit_server(place / "rabbit"))
            redis = stack.enter_context(redis_server(place / "redis"))
        except (RabbitMissing, RedisMissing) as error:
            print(f"network: nothing is measured: {error}")
            yield None
            return
        yield Grounds(rabbit, redis, place)
