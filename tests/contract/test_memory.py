"""The memory backend keeps the contract."""

from pathlib import Path

from mycelium.backend import Backend
from mycelium_backends.memory import open_backend
from tests.contract.suite import BackendContract
from tests.support.clock import FakeClock


class TestMemory(BackendContract):
    shared = False
    durable = False
    many = 200  # it looks at everything for each

    async def open(self, place: Path, clock: FakeClock) -> Backend:
        return await open_backend("memory:", clock)
