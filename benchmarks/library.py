"""The library on SQLite with 100 concurrent callers, beside the bare driver doing the same writes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio

from benchmarks.callers import CALLERS, CALLS, rate
from benchmarks.figures import Figure, middle
from mycelium import Mycelium

ROUNDS: Final = 3
BODY: Final = "x" * 250


def throughput(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """Durable creates, claims and completions in a second."""
    rates: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        rates.setdefault("raw", []).append(_raw_inserts(folder / f"raw-{number}.db"))
        for name, reached in anyio.run(_library, folder / f"library-{number}.db").items():
            rates.setdefault(name, []).append(reached)
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
    for start in range(0, CALLS, CALLERS):
        database.execute("BEGIN IMMEDIATE")
        for number in range(start, start + CALLERS):
            database.execute("INSERT INTO tasks (id, body) VALUES (?, ?)", (f"t-{number}", BODY))
            database.execute("INSERT INTO events (data) VALUES (?)", (BODY,))
        database.execute("COMMIT")
    reached = CALLS / (time.perf_counter() - begun)
    database.close()
    return reached


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

        rates = {"create_task": await rate(create), "claim_task": await rate(claim)}
        assert len(set(claimed)) == CALLS, "a task was claimed twice"
        return {**rates, "complete_task": await rate(complete)}
