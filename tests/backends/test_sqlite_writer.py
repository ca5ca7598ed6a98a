"""SQLite's writing thread: callers learn what became of their change, whatever happens around it."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mycelium import Mycelium
from mycelium.errors import StoreDamaged
from mycelium_backends.sqlite import writer
from mycelium_backends.sqlite.lock import FileLock


@pytest.fixture
async def m(tmp_path: Path) -> AsyncGenerator[Mycelium]:
    async with Mycelium.open(f"sqlite:///{tmp_path}/store.db", agent="ada", background=False) as m:
        yield m


async def test_a_claim_that_asyncio_cancels_leaves_no_lease(m: Mycelium) -> None:
    tasks = [await m.create_task("work") for _ in range(20)]
    for task in tasks:
        claim = asyncio.ensure_future(m.claim_task(task.id))
        await anyio.lowlevel.checkpoint()  # it has asked, and waits for the writer
        claim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claim
    assert {task.status for task in await m.get_tasks([task.id for task in tasks])} == {"pending"}
    assert not m.leases.current()


async def test_a_claim_that_runs_out_of_time_leaves_no_lease(m: Mycelium) -> None:
    tasks = [await m.create_task("work") for _ in range(20)]
    for task in tasks:
        try:
            async with asyncio.timeout(0.0001):
                await m.claim_task(task.id)
        except TimeoutError:
            continue
        await m.update_task(task.id, release=True)
    assert {task.status for task in await m.get_tasks([task.id for task in tasks])} == {"pending"}


async def test_a_claim_that_anyio_cancels_leaves_no_lease(m: Mycelium) -> None:
    task = await m.create_task("work")
    async with anyio.create_task_group() as group:
        group.start_soon(m.claim_task, task.id)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert (await m.get_task(task.id)).status == "pending"


async def test_what_fails_after_a_commit_does_not_fail_the_change(
    m: Mycelium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object) -> None:
        raise sqlite3.OperationalError("no room for a checkpoint")

    monkeypatch.setattr(writer.Writer, "_checkpoint", fail)
    (tmp_path / "store.db-bells").write_text("a file where a folder should be")
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(m.create_task, "work")
    assert len((await m.list_tasks()).records) == 10


async def test_leaving_does_not_hide_the_users_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mycelium_backends.sqlite.lock.PATIENCE", 0.1)
    store = tmp_path / "store.db"

    async def fail_inside(locked_elsewhere: ExitStack) -> None:
        async with Mycelium.open(f"sqlite:///{store}", background=False):
            locked_elsewhere.enter_context(FileLock(store).held())
            raise ValueError("mine")

    with ExitStack() as locked_elsewhere, pytest.raises(ValueError, match="mine"):
        await fail_inside(locked_elsewhere)


async def test_an_empty_file_beside_a_full_log_is_refused(tmp_path: Path) -> None:
    store, log = tmp_path / "store.db", tmp_path / "store.db-wal"
    store.touch()
    log.write_bytes(b"the rest of a store")
    with pytest.raises(StoreDamaged, match="log"):
        async with Mycelium.open(f"sqlite:///{store}"):
            pass
    assert (store.read_bytes(), log.read_bytes()) == (b"", b"the rest of a store")
