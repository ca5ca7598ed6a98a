"""The library on SQLite with 100 concurrent callers, beside the bare driver doing the same writes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import anyio

from benchmarks.figures import Figure, middle
from mycelium import Mycelium

CALLERS: Final = 100
TASKS: Final = 10_000
ROUNDS: Final = 3
BODY: Final = "x" * 250


def throughput(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """Durable creates, claims and completions in a second."""
    rates: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        rates.setdefault("raw", []).append(_raw_inserts(folder / f"raw-{number}.db"))
        for name, rate in anyio.run(_library, folder / f"library-{number}.db").items():
            rates.setdefault(name, []).append(rate)
        step()
    raw = middle(rates["raw"])
    goals = {"create_task": 15_000, "claim_task": 10_000, "complete_task": 0}
    return [
        Figure(
            f"{name}, {CALLERS} callers", middle(rates[name]), "/s", raw, f"bare sqlite3, groups of {CALLERS}",
            f">= {goal:,}/s" if goal else "none", middle(rates[name]) >= goal,
        )
        for name, goal in goals.items()
    ]  # fmt: skip


def _raw_inserts(path: Path) -> float:
    """A row of a task and a row of its event, durably, in groups as large as there are callers."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE tasks (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, body TEXT);"
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, data TEXT)"
    )
    begun = time.perf_counter()
    for start in range(0, TASKS, CALLERS):
        database.execute("BEGIN IMMEDIATE")
        for number in range(start, start + CALLERS):
            database.execute("INSERT INTO tasks (id, body) VALUES (?, ?)", (f"t-{number}", BODY))
            database.execute("INSERT INTO events (data) VALUES (?)", (BODY,))
        database.execute("COMMIT")
    rate = TASKS / (time.perf_counter() - begun)
    database.close()
    return rate


async def _library(path: Path) -> dict[str, float]:
    async with Mycelium.open(f"sqlite:///{path}", agent="benchmark") as m:
        claimed: list[str] = []

        async def create(number: int) -> None:
            await m.create_task("measure", title=f"task {number}", payload={"number": number})

        async def claim(_number: int) -> None:
            task = await m.claim_task()
            assert task is not None
            claimed.append(task.id)

        async def complete(number: int) -> None:
            await m.complete_task(claimed[number], {"ok": True})

        rates = {"create_task": await _rate(create), "claim_task": await _rate(claim)}
        assert len(set(claimed)) == TASKS, "a task was claimed twice"
        return {**rates, "complete_task": await _rate(complete)}


async def _rate(call: Callable[[int], Awaitable[None]]) -> float:
    numbers = iter(range(TASKS))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    begun = time.perf_counter()
    async with anyio.create_task_group() as callers:
        for _ in range(CALLERS):
            callers.start_soon(caller)
    return TASKS / (time.perf_counter() - begun)
