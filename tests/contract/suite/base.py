"""What every part of the contract stands on: how a store is opened, and the clients that use it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

import pytest

from mycelium import Mycelium
from mycelium.backend import Backend
from tests.support.clock import FakeClock


class Contract:
    """A backend's tests inherit this and say how to open it."""

    shared: ClassVar[bool] = True
    """Whether opening a place twice gives two ways into one store, as two processes have them."""
    many: ClassVar[int] = 2000
    """How many tasks it is asked to change at once."""
    durable: ClassVar[bool] = True
    """Whether what is stored is there after closing."""

    async def open(self, place: Path, clock: FakeClock) -> Backend:
        """Open the store at `place`, a folder of this test's own."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Backend]:
        """A new store."""
        backend = await self.open(tmp_path, clock)
        yield backend
        await backend.aclose()

    @pytest.fixture
    async def m(self, store: Backend, clock: FakeClock) -> AsyncGenerator[Mycelium]:
        """A client of the store, named ada, which leaves time to the test."""
        async with Mycelium.over(store, agent="ada", clock=clock, background=False) as client:
            yield client

    @pytest.fixture
    async def bob(self, store: Backend, m: Mycelium, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Mycelium]:
        """Another agent on the same store, coming from another process where the backend allows it."""
        other = await self.open(tmp_path, clock) if self.shared else store
        async with Mycelium.over(other, agent="bob", clock=clock, background=False) as client:
            yield client
        if other is not store:
            await other.aclose()

    @pytest.fixture
    async def fresh(self, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Mycelium]:
        """A client of another, empty store."""
        place = tmp_path / "fresh"
        place.mkdir()
        async with AsyncExitStack() as stack:
            backend = await self.open(place, clock)
            stack.push_async_callback(backend.aclose)
            yield await stack.enter_async_context(Mycelium.over(backend, agent="ada", clock=clock, background=False))
