"""SQLite's writing thread: callers learn what became of their change, whatever happens around it."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mycelium import Mycelium
from mycelium.errors import MyceliumError, NotClaimable, StoreDamaged
from mycelium.models import Agent, Task
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


async def in_one_group(m: Mycelium, store: Path, *calls: Callable[[], Awaitable[object]]) -> list[object]:
    """What these calls return or raise: made while the writer waits for the lock, they share a transaction."""
    outcomes: dict[int, object] = {}

    async def make(number: int, call: Callable[[], Awaitable[object]]) -> None:
        try:
            outcomes[number] = await call()
        except MyceliumError as error:
            outcomes[number] = error

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            with FileLock(store).held():
                group.start_soon(m.publish_event, "first")
                for number, call in enumerate(calls):
                    group.start_soon(make, number, call)
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
    return [outcomes[number] for number in range(len(calls))]


async def test_an_agent_that_fails_too_often_gets_nothing_in_the_same_group(m: Mycelium, tmp_path: Path) -> None:
    await m.see()
    tasks = [await m.create_task("work") for _ in range(7)]
    for task in tasks[:5]:
        await m.claim_task(task.id)
    failing = [partial(m.fail_task, task.id, "broken") for task in tasks[:5]]
    first, *_, last = await in_one_group(m, tmp_path / "store.db", m.claim_task, *failing, m.claim_task)
    assert isinstance(first, Task)
    assert isinstance(last, NotClaimable)
    (well,) = await in_one_group(m, tmp_path / "store.db", partial(m.store_agent_status, status="idle"))
    assert isinstance(well, Agent)
    assert await m.claim_task() is not None


async def test_work_in_a_new_queue_is_found_in_the_same_group(m: Mycelium, tmp_path: Path) -> None:
    await m.see()
    await m.create_task("work")
    create = partial(m.create_task, "work", queue="gpu")
    claim = partial(m.claim_task, queues=["gpu"])
    plain, made, found = await in_one_group(m, tmp_path / "store.db", m.claim_task, create, claim)
    assert isinstance(plain, Task)
    assert isinstance(made, Task)
    assert isinstance(found, Task)
    assert found.id == made.id


async def test_an_agents_new_words_count_in_the_same_group(m: Mycelium, tmp_path: Path) -> None:
    await m.see()
    task = await m.create_task("work", capabilities=["gpu"])
    able = partial(m.store_agent_status, capabilities=["gpu"])
    refused, _, claimed = await in_one_group(
        m, tmp_path / "store.db", partial(m.claim_task, task.id), able, partial(m.claim_task, task.id)
    )
    assert isinstance(refused, NotClaimable)
    assert isinstance(claimed, Task)


async def test_a_task_that_begins_to_wait_is_let_go_in_the_same_group(m: Mycelium, tmp_path: Path) -> None:
    plain, first = [(await m.create_task("work")).id for _ in range(2)]
    for task_id in (plain, first):
        await m.claim_task(task_id)
    wait = partial(m.create_task, "work", depends_on=[first])
    complete = [partial(m.complete_task, task_id) for task_id in (plain, first)]
    _, waiting, _ = await in_one_group(m, tmp_path / "store.db", complete[0], wait, complete[1])
    assert isinstance(waiting, Task)
    assert waiting.blocked
    assert (await m.get_task(waiting.id)).blocked is False
    assert await m.claim_task() is not None
