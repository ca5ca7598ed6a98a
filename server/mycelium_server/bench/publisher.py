"""The process that publishes events for another to wait for: `python -m mycelium_server.bench.publisher`.

It reads an `Order` as a line of JSON, says "ready", begins when it reads another line, and at the end prints when each
call began and was done.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
from anyio import to_thread

from mycelium import Mycelium
from mycelium_server.bench.team import CHANNEL

PAUSE: Final = 0.004
"""Seconds between two events, so that each is waited for."""
Publish = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Order:
    """What to do. It comes by stdin, since everybody may read a command line, and the URL may hold a password."""

    url: str
    count: int
    channel: str | None = None
    """Not through Mycelium, but on this bare channel of a Redis."""


async def publish_timed(publish: Publish, count: int) -> list[tuple[int, int]]:
    """Publish so many events, and tell when each call began and was done, in nanoseconds of the system's clock."""
    times: list[tuple[int, int]] = []
    for number in range(count):
        await anyio.sleep(PAUSE)
        begun = time.monotonic_ns()
        await publish(number)
        times.append((begun, time.monotonic_ns()))
    return times


async def main(order: Order) -> None:
    """Do what is asked."""
    if order.channel is None:
        async with Mycelium.open(order.url, agent="publisher", background=False) as m:
            await _serve(lambda number: m.publish_event(CHANNEL, {"number": number}), order.count)
        return
    from redis.asyncio import Redis

    # Any: redis-py's own types are incomplete.
    redis: Any = Redis.from_url(order.url)  # pyright: ignore[reportUnknownMemberType] - as above
    await redis.ping()
    await _serve(lambda number: redis.publish(order.channel, number), order.count)
    await redis.aclose()


async def _serve(publish: Publish, count: int) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await to_thread.run_sync(sys.stdin.readline)
    sys.stdout.write(json.dumps(await publish_timed(publish, count)))


if __name__ == "__main__":
    anyio.run(main, Order(**json.loads(sys.stdin.readline())))
