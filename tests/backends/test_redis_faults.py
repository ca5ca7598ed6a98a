"""The server is killed, stopped, filled up and cut off: what was acknowledged is there once, and work goes on."""

import os
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium.errors import BackendUnavailable, MyceliumError, StoreFull
from mycelium.models import ClaimRequest, Task
from mycelium.rules import Change, View
from mycelium_backends.redis import open_backend
from tests.backends.redis_store import opened
from tests.support.redis import RedisServer, redis_server
from tests.support.store import PATIENCE, log


@pytest.fixture
def server(tmp_path: Path, redis: RedisServer) -> Generator[RedisServer]:
    """A server of this test's own."""
    with redis_server(tmp_path / "own") as own:
        yield own


class Creating:
    """Callers that create tasks until they are told to stop, and what they were answered."""

    def __init__(self, m: Mycelium) -> None:
        self._m = m
        self.acknowledged: set[str] = set()
        self.refused: list[MyceliumError] = []
        self.stopped = False

    async def create(self) -> None:
        while not self.stopped:
            try:
                self.acknowledged.add((await self._m.create_task("x")).id)
            except BackendUnavailable as error:
                self.refused.append(error)

    async def until(self, count: int) -> None:
        """Wait until so many were acknowledged."""
        with anyio.fail_after(PATIENCE):
            while len(self.acknowledged) < count:
                await anyio.wait_all_tasks_blocked()
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def creating(m: Mycelium, callers: int = 20) -> AsyncGenerator[Creating]:
    callers_at_work = Creating(m)
    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(callers_at_work.create)
        yield callers_at_work
        callers_at_work.stopped = True


async def stored(m: Mycelium) -> list[str]:
    """The ids of all tasks, as the log has them."""
    return [str(event.data["task_id"]) for event in await log(m) if event.type == "task.created"]


async def test_a_restart_in_the_middle_loses_nothing_that_was_acknowledged(server: RedisServer) -> None:
    async with opened(server.url(retry_attempts=1, retry_delay_ms=10)) as m:
        async with creating(m) as work:
            await work.until(500)
            await to_thread.run_sync(server.stop)
            await to_thread.run_sync(server.start)
            await work.until(len(work.acknowledged) + 500)
        found = await stored(m)
        assert work.acknowledged <= set(found)
        assert len(found) == len(set(found))
        assert len((await m.list_tasks(status="pending", limit=1000)).records) == 1000


async def test_a_crash_in_the_middle_loses_nothing_that_was_acknowledged(server: RedisServer) -> None:
    async with opened(server.url(retry_attempts=20, retry_delay_ms=10)) as m:
        async with creating(m) as work:
            await work.until(500)
            await to_thread.run_sync(server.kill)
            await to_thread.run_sync(server.start)
            await work.until(len(work.acknowledged) + 500)
        found = await stored(m)
        assert work.acknowledged <= set(found)
        assert len(found) == len(set(found))
        assert not work.refused


async def test_connections_that_are_cut_again_and_again_double_nothing(server: RedisServer) -> None:
    async with opened(server.url(retry_attempts=10, retry_delay_ms=1)) as m:
        async with creating(m) as work:
            with server.plain() as plain:
                for cut in range(1, 31):
                    await work.until(100 * cut)
                    plain.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        found = await stored(m)
        assert sorted(found) == sorted(work.acknowledged)
        assert not work.refused


async def test_a_lost_server_is_said_within_bounds_and_found_again(server: RedisServer) -> None:
    async with opened(server.url(retry_attempts=2, retry_delay_ms=10)) as m:
        task = await m.create_task("x")
        server.stop()
        with anyio.fail_after(PATIENCE):
            for act in (lambda: m.create_task("y"), lambda: m.get_task(task.id), m.claim_task, m.get_stats, m.last_seq):
                with pytest.raises(BackendUnavailable) as caught:
                    await act()
                assert str(server.port) in caught.value.message
                assert caught.value.hint
        await to_thread.run_sync(server.start)
        assert (await m.get_task(task.id)) == task
        claimed = await m.claim_task()
        assert claimed is not None
        assert claimed.id == task.id


class Broken(Exception):
    """What a rule of these tests raises."""


async def test_what_kept_a_task_from_being_claimed_is_said_also_where_it_cannot_be_given_back(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(server.url(retry_attempts=0)) as m:
        task = await m.create_task("x")

        def grant(view: View, task: Task) -> Change[Task]:
            server.kill()
            raise Broken

        with anyio.fail_after(PATIENCE), pytest.raises(Broken):
            await m.backend.claim(ClaimRequest(agent="ada", seconds=9), grant)
        (said,) = [record.getMessage() for record in caplog.records if record.name == "mycelium.redis"]
        assert task.id in said
        assert str(server.port) in said


async def test_a_server_that_hangs_is_given_up_on_in_time_and_acts_once(server: RedisServer) -> None:
    async with opened(server.url(retry_attempts=1, retry_delay_ms=10, operation_timeout_seconds=0.3)) as m:
        await m.create_task("before")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with anyio.fail_after(PATIENCE), pytest.raises(BackendUnavailable):
                await m.create_task("hangs")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await m.create_task("after")
        found = await stored(m)
        assert len(found) == len(set(found))
        assert len(found) in {2, 3}


async def test_waiting_for_events_goes_on_after_a_restart(server: RedisServer) -> None:
    async with opened(server.url(retry_attempts=20, retry_delay_ms=20)) as m, opened(server.url()) as other:
        seen: set[int] = set()

        async def follow() -> None:
            async for event in m.follow_events(["c"], after=0):
                seen.add(event.seq)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await other.publish_event("c")
            await anyio.wait_all_tasks_blocked()
            await to_thread.run_sync(server.stop)
            await to_thread.run_sync(server.start)
            await other.publish_event("c")
            with anyio.fail_after(PATIENCE):
                while len(seen) < 2:
                    await anyio.wait_all_tasks_blocked()
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert len(seen) == 2


async def test_a_server_without_memory_refuses_whole_changes_and_recovers(server: RedisServer) -> None:
    async with opened(server.url()) as m:
        await m.create_task("before")
        with server.plain() as plain:
            plain.config_set("maxmemory", 1)
            with pytest.raises(StoreFull) as caught:
                await m.create_workflow("w", ["a", "b"])
            assert "memory" in caught.value.message
            assert [task.type for task in (await m.list_tasks()).records] == ["before"]
            plain.config_set("maxmemory", 0)
        await m.create_workflow("w", ["a", "b"])
        assert len(await stored(m)) == 3


async def test_a_server_that_cannot_save_refuses_whole_changes_and_recovers(tmp_path: Path, redis: RedisServer) -> None:
    with redis_server(tmp_path / "own", "--enable-protected-configs", "yes") as server:
        async with opened(server.url()) as m:
            await m.create_task("before")
            with server.plain() as plain:
                plain.config_set("save", "3600 1")
                (server.folder / "temp").mkdir()
                plain.config_set("dir", str(server.folder / "temp"))
                (server.folder / "temp").rmdir()
                plain.bgsave()
                with anyio.fail_after(PATIENCE):
                    while plain.info("persistence")["rdb_last_bgsave_status"] != "err":
                        await anyio.lowlevel.checkpoint()
                with pytest.raises(StoreFull) as caught:
                    await m.create_task("refused")
                assert caught.value.hint
                plain.config_set("dir", str(server.folder))
                plain.config_set("save", "")
            await m.create_task("after")
            assert [task.type for task in (await m.list_tasks()).records] == ["after", "before"]


async def test_a_wrong_password_is_said_and_the_right_one_stays_secret(tmp_path: Path, redis: RedisServer) -> None:
    with redis_server(tmp_path / "own", "--requirepass", "s3cret") as server:
        for url in (server.url(), server.url().replace("redis://", "redis://:wrong@")):
            with anyio.fail_after(PATIENCE), pytest.raises(BackendUnavailable) as caught:
                await open_backend(url, system_clock)
            assert "REDIS_PASSWORD" in caught.value.hint
            assert "wrong" not in str(caught.value.as_dict()).replace("WRONGPASS", "")
        async with opened(server.url().replace("redis://", "redis://:s3cret@")) as m:
            await m.create_task("x")
            assert "s3cret" not in m.backend.url
            server.kill()
            with pytest.raises(BackendUnavailable) as caught:
                await m.create_task("y")
            assert "s3cret" not in str(caught.value.as_dict())


async def test_time_is_the_servers(server: RedisServer) -> None:
    async with opened(server.url()) as m:
        task = await m.create_task("x")
        with server.plain() as plain:
            seconds, micros = plain.time()
        assert abs(task.created_at.timestamp() - seconds - micros / 1e6) < 1
