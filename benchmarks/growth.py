"""What calls cost in a large store, beside the same calls in a small one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import anyio

from benchmarks.figures import Figure, middle
from benchmarks.stores import KINDS, new_stores
from mycelium import Mycelium

TASKS: Final = {"sqlite": (1_000, 100_000), "redis": (1_000, 100_000), "markdown": (500, 5_000)}
AT_ONCE: Final = 500
"""Tasks that are created in one change."""
CALLS: Final = 30
BLOCKS: Final = 10
"""In turn in the small store and in the large."""
STEPS: Final = len(KINDS) * BLOCKS
ALLOWED: Final = 1.5

Call: TypeAlias = Callable[[Mycelium, list[str]], Awaitable[object]]


async def _create(m: Mycelium, known: list[str]) -> object:
    return await m.create_task("measure", title="one more", payload={"number": 1})


async def _claim(m: Mycelium, known: list[str]) -> object:
    task = await m.claim_task()
    assert task is not None
    return task


async def _get(m: Mycelium, known: list[str]) -> object:
    known.append(known.pop(0))
    return await m.get_task(known[0])


CALLED: Final[dict[str, Call]] = {"create_task": _create, "claim_task": _claim, "get_task": _get}


def growth(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """The medians of single calls, in turn."""
    return [figure for kind in KINDS for figure in _of_kind(kind, folder, step)]


def _of_kind(kind: str, folder: Path, step: Callable[[], None]) -> Iterator[Figure]:
    few, many = TASKS[kind]
    with new_stores(kind, folder, "small", "large") as urls:
        if not urls:
            return
        small, large = anyio.run(_measure, urls, (few, many), step)
    for name in CALLED:
        value, baseline = middle(large[name]) * 1000, middle(small[name]) * 1000
        met = value <= ALLOWED * baseline
        what, beside = f"{name}, {kind}, {many:,} tasks", f"{few:,} tasks"
        yield Figure(what, value, "ms", baseline, beside, f"ratio <= {ALLOWED}", met)


async def _measure(
    urls: list[str], sizes: tuple[int, int], step: Callable[[], None]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    taken: tuple[dict[str, list[float]], ...] = ({name: [] for name in CALLED}, {name: [] for name in CALLED})
    async with (
        Mycelium.open(urls[0], agent="benchmark", background=False) as small,
        Mycelium.open(urls[1], agent="benchmark", background=False) as large,
    ):
        stores = [(m, await _fill(m, size)) for m, size in zip((small, large), sizes, strict=True)]
        for _ in range(BLOCKS):
            for (m, known), times in zip(stores, taken, strict=True):
                for name, call in CALLED.items():
                    times[name] += [await _time(call, m, known) for _ in range(CALLS)]
            step()
    return taken[0], taken[1]


async def _fill(m: Mycelium, size: int) -> list[str]:
    """The ids of some of the tasks, from all over the store."""
    ids: list[str] = []
    for _ in range(0, size, AT_ONCE):
        ids += [task.id for task in await m.create_tasks(["measure"] * AT_ONCE)]
    return ids[:: size // 100]


async def _time(call: Call, m: Mycelium, known: list[str]) -> float:
    begun = time.perf_counter()
    await call(m, known)
    return time.perf_counter() - begun
