"""The memory backend keeps the contract."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import anyio
import pytest

from mycelium import Mycelium
from mycelium.backend import Backend
from mycelium.models import EventQuery, Task, TaskQuery
from mycelium.rules import Change
from mycelium_backends.memory import open_backend
from tests.contract.suite import BackendContract
from tests.support.clock import FakeClock

VERBS: Final[Mapping[str, Callable[[Mycelium], Awaitable[object]]]] = {
    "get": lambda m: m.backend.get(Task, ["t"]),
    "find": lambda m: m.backend.find(TaskQuery()),
    "commit": lambda m: m.backend.commit(lambda _: Change(None)),
    "claim": lambda m: m.claim_task(),
    "events": lambda m: m.backend.events(EventQuery()),
    "due": lambda m: m.backend.due(limit=1),
    "stats": lambda m: m.backend.stats(),
    "last_seq": lambda m: m.backend.last_seq(),
}


class TestMemory(BackendContract):
    shared = False
    durable = False
    many = 200  # it looks at everything for each

    async def open(self, place: Path, clock: FakeClock) -> Backend:
        return await open_backend("memory:", clock)

    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    async def test_a_loop_of_verbs_lets_deadlines_pass(
        self, m: Mycelium, verb: Callable[[Mycelium], Awaitable[object]]
    ) -> None:
        with anyio.move_on_after(0) as scope:
            for _ in range(1000):
                await verb(m)
        assert scope.cancelled_caught
