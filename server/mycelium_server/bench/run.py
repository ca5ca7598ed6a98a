"""One run: a new store, all that is measured in it, and nothing left of it."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

from mycelium import Mycelium
from mycelium.errors import BackendUnavailable, InvalidInput, MyceliumError
from mycelium_server.bench.delivery import measure_delivery
from mycelium_server.bench.figures import Report
from mycelium_server.bench.ground import Ground, RawTeam
from mycelium_server.bench.places import ground_for
from mycelium_server.bench.rounds import Rounds
from mycelium_server.bench.sizes import STEPS, measure_sizes
from mycelium_server.bench.subject import AGENTS, CALLS, Subject, subject_of
from mycelium_server.bench.team import Ours

MOST_AGENTS = 10_000
MOST_CALLS = 10_000_000


async def run_bench(backend: str, *, agents: int | None, calls: int | None) -> Report:
    """Measure a backend. A bar shows how far it is, where somebody watches.

    Raises:
        InvalidInput: this cannot be measured, or a setting is wrong.
        StoreError: the store cannot be used.
    """
    subject = subject_of(backend)
    agents = AGENTS[subject.kind] if agents is None else agents
    calls = CALLS[subject.kind] if calls is None else calls
    _check("agents", agents, MOST_AGENTS)
    _check("calls", calls, MOST_CALLS)
    with _one_error():
        return await _measure(subject, agents, calls)


async def _measure(subject: Subject, agents: int, calls: int) -> Report:
    async with ground_for(subject) as ground, _teams(ground, agents) as (m, ours, raw):
        rounds = Rounds([ours, raw] if raw is not None else [ours], agents=agents, calls=calls)
        with _progress(rounds.steps + STEPS + 1) as step:
            operations = await rounds.measure(step)
            operations += await measure_delivery(m, ground, calls)
            step()
            sizes = await measure_sizes(ground, calls, step)
    says = None if raw is None else raw.says
    return Report(m.mode, ground.shown, says, agents, calls, _machine(), operations, sizes)


@contextmanager
def _one_error() -> Generator[None]:
    """Many calls at once fail at once: one of their errors is told, the driver's in our words."""
    try:
        yield
    except Exception as error:
        first = _first(error)
        if not isinstance(first, MyceliumError) and _is_drivers(first):
            raise BackendUnavailable(
                f"The bare driver failed: {first}.", hint="Look after the server or the disk, and measure again."
            ) from error
        raise first from error


def _first(error: Exception) -> Exception:
    if not isinstance(error, ExceptionGroup):
        return error
    return _first(cast("ExceptionGroup[Exception]", error).exceptions[0])


def _is_drivers(error: Exception) -> bool:
    from redis.exceptions import RedisError

    return isinstance(error, RedisError | sqlite3.Error | OSError)


def _check(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise InvalidInput(
            f"Invalid {name}: it must be from 1 to {most:,}.", hint="Nothing was measured.", fields=[name]
        )


@asynccontextmanager
async def _teams(ground: Ground, agents: int) -> AsyncGenerator[tuple[Mycelium, Ours, RawTeam | None]]:
    async with Mycelium.open(ground.url, agent="bench", background=False) as m:
        raw = ground.raw(agents) if ground.raw is not None else None
        try:
            yield m, Ours(m, agents), raw
        finally:
            if raw is not None:
                await raw.aclose()


@contextmanager
def _progress(steps: int) -> Generator[Callable[[], None]]:
    """A bar on stderr while somebody looks at it there."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=steps)
        yield lambda: progress.advance(bar)


def _machine() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
