"""What workflows cost: unlocking those that wait, ending tasks of a large workflow, and waiting for schedules."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final

import anyio

from benchmarks.figures import Figure, middle
from benchmarks.stores import KINDS, new_stores
from mycelium import Mycelium

PAIRS: Final = 1_000
CALLERS: Final = 50
ROUNDS: Final = 3
FEW: Final = 100
MANY: Final = 10_000
CALLS: Final = 90
"""Completions that are timed one by one, in turn in the small workflow and in the large."""
ALLOWED: Final = 1.5
SCHEDULES: Final = 1_000
IDLE_SECONDS: Final = 10.0
STEPS: Final = len(KINDS) * (ROUNDS + 2)


def workflows(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """Completions that unlock, completions in large workflows, and an idle server with many schedules."""
    return [figure for kind in KINDS for figure in _of_kind(kind, folder, step)]


def _of_kind(kind: str, folder: Path, step: Callable[[], None]) -> Iterator[Figure]:
    names = ["growing", "idle", *(f"rates-{number}" for number in range(ROUNDS))]
    with new_stores(kind, folder, *names) as urls:
        if not urls:
            return
        growing, idle, *rates = urls
        yield _unlocking(kind, rates, step)
        yield _growing(kind, growing)
        step()
        yield _idle(kind, idle)
        step()


def _unlocking(kind: str, urls: Sequence[str], step: Callable[[], None]) -> Figure:
    plain: list[float] = []
    unlocking: list[float] = []
    for url in urls:
        for rates, waiting in ((plain, False), (unlocking, True)):
            rates.append(anyio.run(_rate, url, waiting))
        step()
    value, baseline = middle(unlocking), middle(plain)
    name = f"{kind}: completions that each unlock one, {CALLERS} callers"
    return Figure(name, value, "/s", baseline, "plain completions", "ratio >= 0.5", value >= 0.5 * baseline)


async def _rate(url: str, waiting: bool) -> float:
    """How many tasks are completed in a second; each has one that waits on it, if that is asked."""
    async with Mycelium.open(url, agent="benchmark", background=False) as m:
        first = [{"name": f"a{number}"} for number in range(PAIRS)]
        second = [{"name": f"b{number}", "depends_on": [f"a{number}"]} for number in range(PAIRS)]
        workflow = await m.create_workflow("pairs", [*first, *second] if waiting else first, mode="parallel")
        ids = workflow.tasks[:PAIRS]
        for id in ids:
            await m.claim_task(id)
        each = iter(ids)

        async def complete() -> None:
            for id in each:
                await m.complete_task(id)

        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(CALLERS):
                group.start_soon(complete)
        rate = PAIRS / (time.perf_counter() - begun)
        if waiting:
            await m.cancel_workflow(workflow.id)
        return rate


def _growing(kind: str, url: str) -> Figure:
    small, large = anyio.run(_one_by_one, url)
    value, baseline = middle(large) * 1000, middle(small) * 1000
    name = f"{kind}: a completion in a workflow of {MANY:,}"
    return Figure(name, value, "ms", baseline, f"of {FEW}", f"ratio <= {ALLOWED}", value <= ALLOWED * baseline)


async def _one_by_one(url: str) -> tuple[list[float], list[float]]:
    async with Mycelium.open(url, agent="benchmark", background=False) as m:
        small: list[float] = []
        large: list[float] = []
        flows = [
            await m.create_workflow("flow", [f"t{number}" for number in range(size)], mode="parallel")
            for size in (FEW, MANY)
        ]
        for number in range(CALLS):
            for flow, times in zip(flows, (small, large), strict=True):
                await m.claim_task(flow.tasks[number])
                begun = time.perf_counter()
                await m.complete_task(flow.tasks[number])
                times.append(time.perf_counter() - begun)
        return small, large


def _idle(kind: str, url: str) -> Figure:
    anyio.run(_plan, url)
    with ExitStack() as stack:
        server = stack.enter_context(Popen(["mycelium", "serve", "--backend", url], stdin=PIPE, stdout=PIPE))
        stack.callback(server.terminate)
        time.sleep(10)  # for its start, and for the election of the housekeeper
        before = _cpu_seconds(server.pid)
        time.sleep(IDLE_SECONDS)
        share = 100 * (_cpu_seconds(server.pid) - before) / IDLE_SECONDS
    name = f"{kind}: an idle server with {SCHEDULES:,} schedules"
    return Figure(name, share, "% of a core", 1, "the goal", "< 1 %", share < 1)


async def _plan(url: str) -> None:
    async with Mycelium.open(url, agent="benchmark", background=False) as m:
        for number in range(SCHEDULES):
            line = f"{number % 60} {number % 24} 1 1 *"  # none of them comes while this is measured
            await m.create_trigger({"schedule": {"cron": line}}, {"task": {"type": "nightly"}})


def _cpu_seconds(pid: int) -> float:
    """What a process has used, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
