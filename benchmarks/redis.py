"""The library on Redis, one call after another and 100 at once, beside redis-py running the same scripts."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from redis.asyncio import Redis

from benchmarks.callers import CALLERS, CALLS, rate
from benchmarks.figures import Figure, middle
from benchmarks.stores import new_stores
from mycelium import Mycelium, rules
from mycelium.client.base import system_clock
from mycelium.models import AgentReport, TaskSpec
from mycelium.rules import Change, View
from mycelium_backends.redis.address import parse
from mycelium_backends.redis.describe import describe
from mycelium_backends.redis.facts import Facts, FactsView
from mycelium_backends.redis.scripts import SCHEMA, script

IN_A_ROW: Final = 1000
STEPS: Final = 5
GOALS: Final = {"status write": 20_000, "status read": 40_000, "create_task": 20_000, "publish_event": 40_000}

Call = Callable[[int], Awaitable[object]]


def redis_calls(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """Calls in a second, and how long one takes when nobody else calls. Empty where no server is installed."""
    with new_stores("redis", folder, "ours") as urls:
        return [figure for url in urls for figure in anyio.run(_figures, url, step)]


async def _figures(url: str, step: Callable[[], None]) -> list[Figure]:
    address = parse(url)
    ((host, port),) = address.hosts
    async with Mycelium.open(url, agent="benchmark", background=False) as m, Redis(host=host, port=port) as driver:
        ours, raw = _ours(m), await _raw(driver, f"{address.prefix}store:meta")
        figures = [await _alone(ours["create_task"], raw["create_task"])]
        step()
        for name, goal in GOALS.items():
            figures += _beside(name, goal, await _measured(ours[name], driver), await _measured(raw[name], driver))
            step()
        return figures


@dataclass(frozen=True, slots=True)
class Measured:
    """What calls of many callers at once take: their rate, and the CPU of one call in microseconds."""

    rate: float
    caller: float
    server: float

    @property
    def ceiling(self) -> float:
        """Calls in a second that this CPU allows: one thread calls, one thread serves, and they may share a core."""
        cores = min(2, os.cpu_count() or 1)
        return 1e6 / max(self.caller, self.server, (self.caller + self.server) / cores)


async def _measured(call: Call, driver: Redis) -> Measured:
    before = time.process_time(), await _cpu_of_server(driver)
    reached = await rate(call)
    caller, server = time.process_time() - before[0], await _cpu_of_server(driver) - before[1]
    return Measured(reached, 1e6 * caller / CALLS, 1e6 * server / CALLS)


async def _cpu_of_server(driver: Any) -> float:
    """Seconds since it began. The driver's types are incomplete."""
    said = await driver.info("cpu")
    return said["used_cpu_user"] + said["used_cpu_sys"]


def _beside(name: str, goal: int, ours: Measured, raw: Measured) -> list[Figure]:
    beside = "redis-py, the same script"
    wanted = f">= {goal:,}/s, where the CPU allows {ours.ceiling:,.0f}/s"
    return [
        Figure(f"redis: {name}, {CALLERS} callers", ours.rate, "/s", raw.rate, beside, wanted, ours.rate >= goal),
        Figure(f"redis: {name}, CPU of the caller", ours.caller, "us", raw.caller, beside, "none", met=True),
        Figure(f"redis: {name}, CPU of the server", ours.server, "us", raw.server, beside, "none", met=True),
    ]


async def _alone(ours: Call, raw: Call) -> Figure:
    """One call after another, ours and the driver's in turn."""
    taken: dict[Call, list[float]] = {ours: [], raw: []}
    for number in range(IN_A_ROW):
        for call, times in taken.items():
            begun = time.perf_counter()
            await call(CALLS + number)
            times.append(1000 * (time.perf_counter() - begun))
    value, baseline = middle(taken[ours]), middle(taken[raw])
    return Figure(
        "redis: create_task alone", value, "ms", baseline, "redis-py, the same script", "<= 2.0x", value <= 2 * baseline
    )


def _ours(m: Mycelium) -> dict[str, Call]:
    return {
        "status write": lambda n: m.store_agent_status(f"a-{n % CALLERS}", status="busy", metadata={"n": n}),
        "status read": lambda n: m.get_agent_status(f"a-{n % CALLERS}"),
        "create_task": lambda n: m.create_task("measure", payload={"n": n}),
        "publish_event": lambda n: m.publish_event("measure", {"n": n}),
    }


async def _raw(driver: Redis, meta: str) -> dict[str, Call]:
    """What the driver alone takes to have the server do the same, a script at a time."""
    run: Any = driver.evalsha
    commit = await driver.script_load(script("commit").text)
    read = await driver.script_load(script("read").text)
    batches = itertools.count(1)

    def change(rule: Callable[[View], Change[Any]]) -> Awaitable[object]:
        view = FactsView(Facts(records={("agent", "raw"): None}), system_clock())
        description = describe(rule(view), [], view.now)
        return run(commit, 1, meta, SCHEMA, f"raw-{next(batches)}", 1, description.json, *description.texts)

    spec, report = TaskSpec(type="measure", payload={"n": 1}), AgentReport(status="busy", metadata={"n": 1})
    return {
        "status write": lambda n: change(lambda view: _again(rules.report_agent(view, "raw", report))),
        "status read": lambda n: run(read, 1, meta, SCHEMA, b'["get","agent",["a-1"]]'),
        "create_task": lambda n: change(
            lambda view: rules.create_task(view, spec, id=f"raw-{next(batches)}", created_by="raw")
        ),
        "publish_event": lambda n: change(lambda view: rules.publish_event(view, "measure", "x", "raw", {"n": n})),
    }


def _again(change: Change[Any]) -> Change[Any]:
    """The same for an agent that is there already."""
    return Change(change.result, puts=[record.changed() for record in change.puts], events=change.events)
