"""Jobs that do nothing, from RabbitMQ to an acked result, in one worker process; beside it bare pika, and others.

A round begins with all its jobs in the queue and a worker that was held, and ends with the last result: so nobody's
way of publishing is measured. Each works with the same prefetch on durable queues of the type that is named, and acks
a job when its result is stored. Results of Mycelium and of bare pika come on the queue of responses, and are read and
acked there by plain pika; those of Celery and taskiq are counted in Redis, which costs nothing here; dramatiq stores
none. CPU times say more than rates where the machine has other things to do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import redis

from benchmarks.figures import Figure, middle
from benchmarks.network_jobs import MessageJobs
from benchmarks.network_workers import (
    INSTALL,
    RIVALS,
    Engine,
    bare,
    celery,
    cpu_seconds,
    dramatiq,
    mycelium,
    running,
    taskiq,
)
from tests.support.rabbitmq import Names, RabbitMissing, RabbitServer, rabbit_server
from tests.support.redis import RedisMissing, RedisServer, redis_server

WARMING: Final = 500
STORES: Final = ("sqlite", "redis")
JOBS: Final = 5_000
"""In a round."""
ROUNDS: Final = 3
QUEUE_TYPES: Final = ("quorum", "classic")
GOAL: Final = 2_000
FEW: Final = 5_000
MANY: Final = 50_000
"""Jobs that one worker has done when its memory is looked at."""
ALLOWED: Final = 1.1
STEPS: Final = len(QUEUE_TYPES) + len(STORES) + 1 + 3
MEMORY_STEPS: Final = MANY // FEW


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


def network(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """Jobs in a second, and the CPU time that the worker and RabbitMQ take for one."""
    figures: list[Figure] = []
    with _grounds(folder) as grounds:
        if grounds is None:
            return figures
        for queue_type in QUEUE_TYPES:
            alone = measure(bare(_jobs(grounds, queue_type)), grounds)
            step()
            for engine in _engines(grounds, queue_type):
                figures += _figures(engine.name, measure(engine, grounds), alone)
                step()
    return figures


def network_memory(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """What a worker holds after many jobs, beside what it held after a few. On SQLite: memory keeps its tasks."""
    held: list[float] = []
    with _grounds(folder) as grounds:
        if grounds is None:
            return []
        engine = _mycelium(grounds, "sqlite", "quorum")
        with running(engine, grounds.folder) as worker:
            for _ in range(MANY // FEW):
                worker.hold()
                engine.publish(FEW)
                worker.go()
                engine.finish(FEW)
                held.append(worker.resident)
                step()
    met = held[-1] <= ALLOWED * held[0]
    name, beside = f"memory of a worker after {MANY:,} jobs", f"after {FEW:,}"
    return [Figure(name, held[-1], "MiB", held[0], beside, f"ratio <= {ALLOWED}", met)]


def _engines(grounds: Grounds, queue_type: str) -> Generator[Engine]:
    """Mycelium on every store, on the default kind of queues; all others on the kind that most of them use."""
    if queue_type == "quorum":
        yield from (_mycelium(grounds, store, queue_type) for store in STORES)
        return
    yield _mycelium(grounds, "sqlite", queue_type)
    if not RIVALS.exists():
        print(f"network: Celery, taskiq and dramatiq are not installed; {INSTALL}", file=sys.stderr)
        return
    with closing(redis.Redis(port=grounds.redis.port, db=1)) as results:
        for rival in (celery, taskiq, dramatiq):
            yield rival(grounds.rabbit.port, results, queue_type)


def _mycelium(grounds: Grounds, store: str, queue_type: str) -> Engine:
    urls = {
        "memory": "memory:",
        "sqlite": f"sqlite:///{grounds.folder / queue_type}.db",
        "redis": grounds.redis.url(),
    }
    return mycelium(urls[store], _jobs(grounds, queue_type), grounds.folder)


def _jobs(grounds: Grounds, queue_type: str) -> MessageJobs:
    jobs = MessageJobs(Names(grounds.rabbit), queue_type)
    jobs.declare()
    return jobs


def _figures(name: str, reached: Measured, alone: Measured) -> list[Figure]:
    ours = name.startswith(STORES)
    met = not ours or reached.rate >= GOAL
    goal = f">= {GOAL:,}/s" if ours else "none"
    return [
        Figure(f"no-op jobs, {name}", reached.rate, "/s", alone.rate, "bare pika", goal, met),
        Figure(f"CPU of the worker, {name}", reached.worker, "us a job", alone.worker, "bare pika", "none", met=True),
        Figure(f"CPU of RabbitMQ, {name}", reached.broker, "us a job", alone.broker, "bare pika", "none", met=True),
    ]


@contextmanager
def _grounds(folder: Path) -> Generator[Grounds | None]:
    place = folder / f"network-{uuid4().hex[:8]}"
    place.mkdir()
    with ExitStack() as stack:
        try:
            rabbit = stack.enter_context(rabbit_server(place / "rabbit"))
            store = stack.enter_context(redis_server(place / "redis"))
        except (RabbitMissing, RedisMissing) as error:
            print(f"network: nothing is measured: {error}", file=sys.stderr)
            yield None
            return
        yield Grounds(rabbit, store, place)
