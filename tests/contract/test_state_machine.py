"""The rules hold whatever agents do, in whatever order, on every backend.

`make test` tells the same stories every time; `make soak` tells thousands, new ones each time.
"""

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from mycelium.backend import Backend
from mycelium_backends.markdown import open_backend as open_markdown
from mycelium_backends.memory import open_backend as open_memory
from mycelium_backends.redis import open_backend as open_redis
from mycelium_backends.sqlite import open_backend as open_sqlite
from tests.contract.machine import Agents
from tests.contract.test_redis import namespace_for
from tests.support.clock import FakeClock
from tests.support.redis import RedisServer

QUICK = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SOAK = settings(QUICK, max_examples=2000, stateful_step_count=80, derandomize=False, print_blob=True)


class MarkdownAgents(Agents):
    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        return [await open_markdown(f"markdown:{place}/team", clock) for _ in range(2)]


class MemoryAgents(Agents):
    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        return [await open_memory("memory:", clock)]


class RedisAgents(Agents):
    server: ClassVar[RedisServer]

    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        return [await open_redis(self.server.url(namespace_for(place)), clock) for _ in range(2)]


class SqliteAgents(Agents):
    async def open(self, place: Path, clock: FakeClock) -> list[Backend]:
        return [await open_sqlite(f"sqlite:///{place}/store.db", clock) for _ in range(2)]


@pytest.mark.timeout(600)  # a pass takes seconds; a failure is made as short as it can be, which takes minutes
@pytest.mark.parametrize("agents", [MemoryAgents, SqliteAgents, MarkdownAgents, RedisAgents])
def test_random_agents_find_no_difference_to_the_reference(agents: type[Agents], redis: RedisServer) -> None:
    RedisAgents.server = redis
    run_state_machine_as_test(agents, settings=QUICK)


@pytest.mark.soak
@pytest.mark.parametrize("agents", [MemoryAgents, SqliteAgents, MarkdownAgents, RedisAgents])
def test_random_agents_find_no_difference_in_thousands_of_stories(agents: type[Agents], redis: RedisServer) -> None:
    RedisAgents.server = redis
    run_state_machine_as_test(agents, settings=SOAK)
