"""The SQLite backend keeps the contract, through two openings of one file wherever two agents meet."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.backend import Backend
from mycelium.errors import StoreDamaged
from mycelium_backends.sqlite import open_backend
from tests.contract.suite import BackendContract, DurableContract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE

VISITOR = """
import sys
import anyio
from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium_backends.sqlite import open_backend

async def visit():
    store = await open_backend(sys.argv[1], system_clock)
    async with Mycelium.over(store, agent="visitor", background=False) as m:
        print(*[task.type for task in (await m.list_tasks()).records])
        await m.create_task("visit")
    await store.aclose()

anyio.run(visit)
"""


async def visit(url: str) -> list[str]:
    """What another process sees in the store, which also leaves a task there."""
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process([sys.executable, "-c", VISITOR, url], stderr=subprocess.PIPE)
    return done.stdout.decode().split()


class TestSqlite(BackendContract, DurableContract):
    async def open(self, place: Path, clock: FakeClock) -> Backend:
        return await open_backend(f"sqlite:///{place}/store.db", clock)

    async def test_other_processes_come_and_go_and_see_everything(self, m: Mycelium, bob: Mycelium) -> None:
        await m.create_task("one")
        assert await visit(m.backend.url) == ["one"]
        await bob.create_task("two")
        assert await visit(m.backend.url) == ["two", "visit", "one"]
        assert [task.type for task in (await m.list_tasks()).records] == ["visit", "two", "visit", "one"]

    async def test_opening_a_store_again_in_one_process_loosens_no_lock(
        self, m: Mycelium, tmp_path: Path, clock: FakeClock
    ) -> None:
        await m.create_task("one")
        again = await self.open(tmp_path, clock)
        await again.aclose()
        assert await visit(m.backend.url) == ["one"]
        await m.create_task("two")
        assert await visit(m.backend.url) == ["two", "visit", "one"]

    @pytest.mark.parametrize("size", [1, 15, 16, 100, 511, 512, 600, 4096, 5000, 33 * 1024 * 1024])
    async def test_a_file_of_something_else_is_refused_and_left_as_it_was(
        self, tmp_path: Path, clock: FakeClock, size: int
    ) -> None:
        content = b"Dear diary" * (size // 10 + 1)
        (tmp_path / "store.db").write_bytes(content[:size])
        with pytest.raises(StoreDamaged):
            await self.open(tmp_path, clock)
        assert (tmp_path / "store.db").read_bytes() == content[:size]
