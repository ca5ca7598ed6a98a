"""Tasks straight from the store: which, when, and when none."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_worker import store_source
from mycelium_worker.store_source import StoreSource, open_store_source
from tests.support.clock import FakeClock

PATIENCE = 30.0


@pytest.fixture
async def m(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Mycelium]:
    async with Mycelium.open(f"sqlite:///{tmp_path}/team.db", agent="wanda", clock=clock, background=False) as client:
        yield client


async def taken(source: StoreSource) -> Task | None:
    with anyio.fail_after(PATIENCE):
        job = await source.take()
    return None if job is None else job.task


async def test_the_first_look_waits_for_nothing_and_the_next_for_a_ring(m: Mycelium) -> None:
    async with open_store_source(m) as source:
        with anyio.fail_after(1):
            await source.ready()
        assert await taken(source) is None
        assert source.empty
        task = await m.create_task("greet")
        with anyio.fail_after(5):
            await source.ready()
        found = await taken(source)
        assert found is not None
        assert (found.id, found.agent) == (task.id, "wanda")
        assert not source.empty


async def test_a_ring_long_after_a_look_in_vain_is_heeded(m: Mycelium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_source, "PACE", 0.0)  # so that every look was long ago
    async with open_store_source(m) as source:
        await source.ready()
        assert await taken(source) is None
        await m.create_task("greet")
        with anyio.fail_after(PATIENCE):
            await source.ready()
        assert await taken(source) is not None


async def test_only_what_is_addressed_is_taken_where_queues_bring_the_rest(m: Mycelium) -> None:
    await m.store_agent_status(capabilities=["gpu"])
    await m.create_task("greet")
    wanted = [
        await m.create_task("greet", assigned_to="wanda"),
        await m.create_task("greet", capabilities=["gpu"]),
        await m.create_task("greet", queue="night"),
    ]
    async with open_store_source(m, addressed_only=True) as source:
        found = {task.id for _ in range(3) if (task := await taken(source)) is not None}
        assert await taken(source) is None
    assert found == {task.id for task in wanted}


async def test_an_agent_in_error_rests_and_says_so_once(
    m: Mycelium, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        task = await m.create_task("greet")
        await m.claim_task(task.id)
        await m.fail_task(task.id, "broken")
    await m.create_task("greet")
    async with open_store_source(m) as source:
        assert await taken(source) is None
        assert await taken(source) is None
        assert not source.empty  # there is work, only not for this one
        assert [record.levelname for record in caplog.records if "nothing is claimed" in record.message] == ["WARNING"]
        clock.advance(301)
        assert await taken(source) is not None


async def test_a_drained_source_brings_nothing(m: Mycelium) -> None:
    await m.create_task("greet")
    async with open_store_source(m) as source:
        await source.drain()
        assert await taken(source) is None
