"""A client without a block: opened by one call, closed by another."""

import asyncio
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.client import connection
from mycelium.errors import BackendUnavailable, StoreDamaged
from mycelium.models import Event
from tests.support.store import PATIENCE, claimed


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'team.db'}"


async def test_a_connection_is_a_client_until_it_is_closed(url: str) -> None:
    m = await Mycelium.connect(url, agent="ada")
    task = await claimed(m, (await m.create_task("x")).id)
    await m.close()
    await m.close()
    with pytest.raises(BackendUnavailable):
        await m.get_task(task.id)
    with pytest.raises(BackendUnavailable):
        await m.create_task("x")
    async with Mycelium.open(url, background=False) as other:
        assert (await other.get_task(task.id)).status == "pending"
    assert not connection.HOLDERS


async def test_it_is_closed_from_any_task_and_by_several_at_once(url: str) -> None:
    m = await Mycelium.connect(url)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(m.close)


async def test_a_subscriber_may_close_it(url: str) -> None:
    m = await Mycelium.connect(url)
    closing = anyio.Event()

    async def close(_event: Event) -> None:
        closing.set()
        await m.close()

    await m.subscribe_events("team:notes", close)
    await m.publish_event("team:notes")
    with anyio.fail_after(PATIENCE):
        await closing.wait()
        await m.close()


async def test_its_subscriptions_and_leases_live_as_long_as_it(url: str) -> None:
    m = await Mycelium.connect(url, agent="ada")
    heard = anyio.Event()

    async def hear(_event: Event) -> None:
        heard.set()

    await m.subscribe_events("team:notes", hear)
    await m.create_task("x")
    held = await m.claim_task(lease_seconds=0.3)
    assert held is not None
    async with Mycelium.open(url, agent="bob") as other:
        await other.publish_event("team:notes")
        with anyio.fail_after(PATIENCE):
            await heard.wait()
            await anyio.sleep(0.6)  # twice as long as the lease lasts by itself
        assert (await other.get_task(held.id)).agent == "ada"
        assert await other.housekeep() == 0
    await m.close()


def test_what_nobody_closed_is_closed_when_the_event_loop_ends(url: str) -> None:
    async def forget() -> str:
        m = await Mycelium.connect(url, agent="ada")
        await m.create_task("x")
        return (await claimed(m)).id

    async def look(task_id: str) -> str:
        async with Mycelium.open(url, background=False) as m:
            return (await m.get_task(task_id)).status

    assert asyncio.run(look(asyncio.run(forget()))) == "pending"
    assert not connection.HOLDERS


async def test_a_store_that_cannot_be_opened_is_told_to_who_connects(tmp_path: Path) -> None:
    (tmp_path / "team.db").write_bytes(b"Dear diary" * 1000)
    with pytest.raises(StoreDamaged):
        await Mycelium.connect(f"sqlite:///{tmp_path / 'team.db'}")
    assert not connection.HOLDERS


async def test_connecting_that_is_called_off_leaves_nothing_open(url: str) -> None:
    with anyio.move_on_after(0):
        await Mycelium.connect(url)
    assert not connection.HOLDERS
