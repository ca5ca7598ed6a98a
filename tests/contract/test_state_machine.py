"""The rules hold whatever agents do, in whatever order, on every backend.

`make test` tells the same stories every time; `make soak` tells thousands, new ones each time.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from mycelium.backend import Backend
from mycelium_backends.memory import open_backend as open_memory
from mycelium_backends.sqlite import open_backend as open_sqlite
from tests.contract.machine import Agents
from tests.support.clock import FakeClock

QUICK = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SOAK = settings(QUICK, max_examples=2000, stateful_step_count=80, derandomize=False, print_blob=True)


class MemoryAgents(Agents):
    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        return [await open_memory("memory:", clock)]


class SqliteAgents(Agents):
    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        return [await open_sqlite(f"sqlite:///{place}/store.db", clock) for _ in range(2)]


@pytest.mark.timeout(600)  # a pass takes seconds; a failure is made as short as it can be, which takes minutes
@pytest.mark.parametrize("agents", [MemoryAgents, SqliteAgents])
def test_random_agents_find_no_difference_to_the_reference(agents: type[Agents]) -> None:
    run_state_machine_as_test(agents, settings=QUICK)


@pytest.mark.soak
@pytest.mark.parametrize("agents", [MemoryAgents, SqliteAgents])
def test_random_agents_find_no_difference_in_thousands_of_stories(agents: type[Agents]) -> None:
    run_state_machine_as_test(agents, settings=SOAK)
