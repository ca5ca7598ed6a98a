"""Closing: once or twice, with nothing lost and nobody left waiting."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium, MyceliumError
from mycelium.backend import Backend
from mycelium.errors import StoreError
from mycelium.models import Agent, ClaimRequest, EventQuery, TaskQuery
from mycelium.rules import Change, grant
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed, log, snapshot


async def use_dump(store: Backend) -> None:
    async for _ in store.dump():
        pass


async def use_bell(store: Backend) -> None:
    async with store.changes():
        pass


USES: dict[str, Callable[[Backend], Awaitable[object]]] = {
    "get": lambda store: store.get(Agent, ["ada"]),
    "find": lambda store: store.find(TaskQuery()),
    "commit": lambda store: store.commit(lambda view: Change(None)),
    "claim": lambda store: store.claim(
        ClaimRequest(agent="ada", seconds=5), lambda view, task: grant(view, task, agent="ada", seconds=5)
    ),
    "waiting_on": lambda store: store.waiting_on("t-1", 5),
    "events": lambda store: store.events(EventQuery()),
    "last_seq": lambda store: store.last_seq(),
    "due": lambda store: store.due(5),
    "dump": use_dump,
    "changes": use_bell,
    "stats": lambda store: store.stats(),
}


class ClosingContract(Contract):
    async def test_closing_twice_is_closing_once(self, store: Backend) -> None:
        with anyio.fail_after(PATIENCE):
            await store.aclose()
            await store.aclose()

    @pytest.mark.parametrize("use", USES)
    async def test_a_closed_store_refuses_every_call(self, store: Backend, use: str) -> None:
        with anyio.fail_after(PATIENCE):
            await store.aclose()
            with pytest.raises(StoreError) as caught:
                await USES[use](store)
        assert (caught.value.code, caught.value.message) == ("backend_unavailable", f"{store.url} was closed.")

    async def test_whoever_waits_for_events_is_told_of_the_closing(self, store: Backend, clock: FakeClock) -> None:
        codes: list[str] = []

        async def wait(m: Mycelium) -> None:
            try:
                await m.read_events(wait_seconds=3600)
            except MyceliumError as error:
                codes.append(error.code)

        with anyio.fail_after(PATIENCE):
            async with (
                Mycelium.over(store, clock=clock, background=False) as m,
                anyio.create_task_group() as group,
            ):
                group.start_soon(wait, m)
                group.start_soon(wait, m)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                await store.aclose()
        assert codes == ["backend_unavailable"] * 2

    async def test_closing_in_the_middle_finishes_or_refuses_each_call(
        self, store: Backend, tmp_path: Path, clock: FakeClock
    ) -> None:
        acknowledged: list[str] = []
        refused: list[str] = []

        async def create(m: Mycelium) -> None:
            try:
                acknowledged.append((await m.create_task("x")).id)
            except MyceliumError as error:
                refused.append(error.code)

        with anyio.fail_after(PATIENCE):
            async with Mycelium.over(store, clock=clock, background=False) as m, anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(create, m)
                await anyio.lowlevel.checkpoint()
                await store.aclose()
        assert set(refused) <= {"backend_unavailable"}
        assert len(acknowledged) + len(refused) == 100
        if self.durable:
            again = await self.open(tmp_path, clock)
            async with Mycelium.over(again, clock=clock, background=False) as m:
                stored = [task.id for task in (await m.list_tasks(limit=1000)).records]
            await again.aclose()
            assert sorted(stored) == sorted(acknowledged)

    async def test_a_half_read_export_does_not_keep_the_store_from_closing(
        self, store: Backend, clock: FakeClock
    ) -> None:
        with anyio.fail_after(PATIENCE):
            async with Mycelium.over(store, agent="ada", clock=clock, background=False) as m:
                for _ in range(300):
                    await m.create_task("x")
                export = m.export()
                async for line in export:
                    if '"task"' in line:
                        break
                await m.list_tasks()
                await store.aclose()

    async def test_leases_are_given_back_even_when_the_block_fails(self, store: Backend, clock: FakeClock) -> None:
        class Mine(Exception):
            pass

        async def work() -> None:
            async with Mycelium.over(store, agent="ada", clock=clock) as m:
                await claimed(m, (await m.create_task("x")).id)
                raise Mine

        with pytest.raises(Mine):
            await work()
        async with Mycelium.over(store, agent="bob", clock=clock, background=False) as m:
            assert [task.status for task in (await m.list_tasks()).records] == ["pending"]


class DurableContract(Contract):
    """For backends that keep what is stored when they are closed."""

    async def test_what_was_stored_is_there_when_it_is_opened_again(
        self, store: Backend, tmp_path: Path, clock: FakeClock
    ) -> None:
        async with Mycelium.over(store, agent="ada", clock=clock, background=False) as m:
            await m.create_workflow("w", ["a", "b"])
            task = await claimed(m, (await m.create_task("x", payload={"a": 1})).id)
            await m.complete_task(task.id, {"b": 2})
            await m.store_agent_status(ttl=5)
            before, events = await snapshot(m), await log(m)
        await store.aclose()
        again = await self.open(tmp_path, clock)
        async with Mycelium.over(again, agent="ada", clock=clock, background=False) as m:
            assert await snapshot(m) == before
            assert await m.last_seq() == len(events)
            assert (await m.publish_event("c")).seq == len(events) + 1
        await again.aclose()
