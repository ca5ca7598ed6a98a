"""Measuring calls: each kind by Mycelium and by the bare driver in turn, so that noise of the machine hits both."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import anyio

from mycelium_server.bench.figures import Load, Operation, Timing
from mycelium_server.bench.team import OPERATIONS, Team

ROUNDS: Final = 5
WARMING: Final = 20
"""Calls of each kind that are made before anything is measured."""
ALONE: Final = 5
"""One agent alone makes this part of the calls: it has nobody to share a journey or a wait for the disk with."""
LOADS: Final[tuple[Load, ...]] = ("alone", "together")

Call: TypeAlias = Callable[[int], Awaitable[object]]


@dataclass(slots=True)
class Series:
    """The times of one kind of call by one team under one load, so far. All in seconds."""

    taken: list[float] = field(default_factory=list[float])
    seconds: float = 0.0

    def timing(self) -> Timing:
        return Timing.of(self.taken, self.seconds)


class Rounds:
    """Measures teams against each other."""

    def __init__(self, teams: Sequence[Team], *, agents: int, calls: int) -> None:
        self._teams = teams
        self._agents = agents
        self._calls = calls
        self._numbers: dict[tuple[int, str], int] = {}
        self._series: dict[tuple[int, str, Load], Series] = {}

    @property
    def steps(self) -> int:
        """How often `measure` reports a step."""
        return (ROUNDS + 1) * len(LOADS) * len(OPERATIONS)

    async def measure(self, step: Callable[[], None]) -> list[Operation]:
        """Measure every operation under each load."""
        for number in range(ROUNDS + 1):
            for load in LOADS:
                for name in OPERATIONS:
                    await self._chunk(name, load, number)
                    step()
            if number == 0:
                self._series.clear()  # that was for warming up
        return [self._operation(name, load) for load in reversed(LOADS) for name in OPERATIONS]

    async def _chunk(self, name: str, load: Load, number: int) -> None:
        count = max(1, self._calls // ROUNDS) if number else WARMING
        part = count if load == "together" else max(1, count // ALONE)
        in_turn = list(enumerate(self._teams))
        for index, team in in_turn if number % 2 else reversed(in_turn):
            first = self._numbers.get((index, name), 0)
            self._numbers[index, name] = first + part
            series = self._series.setdefault((index, name, load), Series())
            callers = self._agents if load == "together" else 1
            await _time(getattr(team, OPERATIONS[name]), range(first, first + part), callers, series)

    def _operation(self, name: str, load: Load) -> Operation:
        ours, *raw = [self._series[index, name, load].timing() for index in range(len(self._teams))]
        return Operation(name, load, self._agents if load == "together" else 1, ours, raw[0] if raw else None)


async def _time(call: Call, numbers: Iterable[int], callers: int, into: Series) -> None:
    """Make a call for each number, by so many callers who each begin their next when their last is done."""
    left = iter(numbers)

    async def caller() -> None:
        for number in left:
            begun = time.perf_counter()
            await call(number)
            into.taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(caller)
    into.seconds += time.perf_counter() - begun
