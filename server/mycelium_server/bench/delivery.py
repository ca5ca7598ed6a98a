"""How long an event takes to reach somebody who waits for it in another process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from mycelium import Mycelium
from mycelium_server.bench.figures import Operation, Timing
from mycelium_server.bench.ground import Ground
from mycelium_server.bench.publisher import Order, publish_timed
from mycelium_server.bench.team import CHANNEL

EVENTS: Final = (50, 300)
"""At least and at most so many are published."""
FROM_CALL: Final = "Subscribe (from the call)"
FROM_DONE: Final = "Subscribe (from stored)"
PATIENCE: Final = 60.0
"""Seconds for all of them."""

Times: TypeAlias = list[tuple[int, int]]
Hear: TypeAlias = Callable[[], AsyncGenerator[int]]


async def measure_delivery(m: Mycelium, ground: Ground, calls: int) -> list[Operation]:
    """From the beginning of the call that publishes, and from when the event is stored, until it is heard.

    As many events as calls are made.
    """
    count = min(max(calls, EVENTS[0]), EVENTS[1])
    if ground.kind == "memory":
        ours = await _within(m, count)
        return [_operation(FROM_CALL, ours, None, 0), _operation(FROM_DONE, ours, None, 1)]
    ours = await _between(Order(ground.url, count), lambda: _events(m))
    raw = await _between(_raw(ground, count), lambda: _messages(ground)) if ground.server is not None else None
    return [_operation(FROM_CALL, ours, raw, 0), _operation(FROM_DONE, ours, raw, 1)]


def _operation(name: str, ours: Times, raw: Times | None, which: int) -> Operation:
    mycelium, plain = (None if times is None else _timing([each[which] for each in times]) for times in (ours, raw))
    assert mycelium is not None
    return Operation(name, "alone", 1, mycelium, plain)


def _timing(waits: list[int]) -> Timing:
    return Timing.of([max(0, wait) / 1e9 for wait in waits], None)


async def _within(m: Mycelium, count: int) -> Times:
    """In this process, for a store that no other can see."""
    told: Times = []

    async def publish() -> None:
        told.extend(await publish_timed(lambda number: m.publish_event(CHANNEL, {"number": number}), count))

    return _waits(*await _hear(lambda: _events(m), count, publish, told))


async def _between(order: Order, hear: Hear) -> Times:
    """From another process to this one."""
    told: Times = []
    async with _publisher(order) as (process, said):

        async def publish() -> None:
            assert process.stdin is not None
            await process.stdin.send(b"go\n")
            told.extend(json.loads("".join([part async for part in said])))

        return _waits(*await _hear(hear, order.count, publish, told))


async def _hear(
    hear: Hear, count: int, publish: Callable[[], Coroutine[Any, Any, None]], told: Times
) -> tuple[Times, list[int]]:
    """Listen, have the events published, and take down when each was heard."""
    heard: list[int] = []
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks, aclosing(hear()) as numbers:
            async for number in numbers:
                if number < 0:
                    tasks.start_soon(publish)
                    continue
                heard.append(time.monotonic_ns())
                if len(heard) == count:
                    break
    return told, heard


def _waits(told: Times, heard: list[int]) -> Times:
    return [(at - begun, at - done) for (begun, done), at in zip(told, heard, strict=True)]


async def _events(m: Mycelium) -> AsyncGenerator[int]:
    """-1 when it listens, then the number of each event."""
    async with m.backend.changes():  # so that the bell that follows is there before anything is published
        after = await m.last_seq()
        yield -1
        async for event in m.follow_events([CHANNEL], after=after):
            yield int(str(event.data["number"]))


async def _messages(ground: Ground) -> AsyncGenerator[int]:
    """The same of a bare channel."""
    async with ground.server.pubsub() as subscriber:
        await subscriber.subscribe(_channel(ground))
        async for message in subscriber.listen():
            yield -1 if message["type"] == "subscribe" else int(message["data"])


def _raw(ground: Ground, count: int) -> Order:
    return Order(ground.plain, count, _channel(ground))


def _channel(ground: Ground) -> str:
    return f"{ground.prefix}raw:{CHANNEL}"


@asynccontextmanager
async def _publisher(order: Order) -> AsyncGenerator[tuple[Process, AsyncIterator[str]]]:
    """The other process, ready to begin; it is gone after this context."""
    command = [sys.executable, "-m", "mycelium_server.bench.publisher"]
    # In a session of its own, so that Ctrl-C reaches this process alone, which then ends it.
    async with await anyio.open_process(command, stderr=None, start_new_session=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.send(f"{json.dumps(asdict(order))}\n".encode())
            said = TextReceiveStream(process.stdout)
            with anyio.fail_after(PATIENCE):
                assert await said.receive() == "ready\n"
            yield process, said
            await process.wait()
        except BaseException:
            process.kill()
            raise
