"""How long an event takes to another process, on each kind of store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

import anyio

from benchmarks.figures import Figure, fsync_median
from benchmarks.stores import KINDS, new_stores
from mycelium import Mycelium
from mycelium_server.bench.delivery import measure_delivery
from mycelium_server.bench.figures import Operation
from mycelium_server.bench.places import ground_for
from mycelium_server.bench.subject import subject_of

GOALS: Final = {"sqlite": 0.5, "redis": 0.5, "markdown": 5.0}
"""Milliseconds from when the event is stored, at the median."""
EVENTS: Final = 300
STEPS: Final = len(KINDS)


def delivery(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """The medians, from the call that publishes and from when its event is stored."""
    figures: list[Figure] = []
    for kind in KINDS:
        with ExitStack() as stack:
            urls = stack.enter_context(new_stores(kind, folder, "events")) if kind == "redis" else [kind]
            for url in urls:
                from_call, from_stored = anyio.run(_measure, url)
                figures += _figures(kind, from_call, from_stored, 1000 * fsync_median(folder / "fsync"))
        step()
    return figures


async def _measure(url: str) -> list[Operation]:
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(ground_for(subject_of(url)))
        m = await stack.enter_async_context(Mycelium.open(ground.url, agent="benchmark", background=False))
        return await measure_delivery(m, ground, EVENTS)


def _figures(kind: str, from_call: Operation, from_stored: Operation, fsync: float) -> list[Figure]:
    raw = from_call.raw
    baseline, beside = (raw.p50, "bare PUBLISH") if raw else (fsync, "one fsync")
    goal, taken = GOALS[kind], from_stored.mycelium.p50
    name = f"event to another process, {kind}"
    return [
        Figure(f"{name}, from the call", from_call.mycelium.p50, "ms", baseline, beside, "none", met=True),
        Figure(f"{name}, from stored", taken, "ms", baseline, beside, f"< {goal} ms", met=taken < goal),
    ]
