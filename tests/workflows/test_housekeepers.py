"""A housekeeper may be killed, doubled, or an hour wrong: nothing fires twice, and no lease is stolen."""

import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from mycelium import Mycelium
from mycelium.backend import Clock
from mycelium.client import housekeeping, turn
from mycelium.client.base import system_clock
from mycelium.client.connection import Connection
from mycelium.models import HOUSE, Event, Keeper
from tests.spine.conftest import NewStore, new_store
from tests.support.store import log

__all__ = ["new_store"]
PATIENCE = 30.0
LEASE = 3.0
OUTLIVED = 1.5 * LEASE
"""Seconds after which a lease would long have been taken from a holder who did not renew it, or by a wrong clock."""
THEN = {"task": {"type": "made", "payload": {"cause": {"$from": "cause"}}}}


@pytest.fixture(autouse=True)
def _a_faster_election(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    monkeypatch.setattr(turn, "BEAT", 0.2)
    monkeypatch.setattr(turn, "SILENCE", 0.8)
    monkeypatch.setattr(housekeeping, "LONGEST_REST", 0.1)


def ahead(**by: float) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + timedelta(**by)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Return when it is true."""
    with anyio.fail_after(PATIENCE):
        while not await true():  # noqa: ASYNC110 - nothing tells of who keeps house but the record itself
            await anyio.sleep(0.02)


async def one_keeps(*clients: Mycelium) -> None:
    """Return when one of these keeps house."""

    async def kept() -> bool:
        return any(m.house.mine for m in clients)

    await until(kept)


async def told(m: Mycelium, *types: str) -> list[Event]:
    return [event for event in await log(m) if event.type in types]


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Callable[..., Awaitable[Connection]]]:
    """Opens clients that may be closed in any order, and closes those that are left."""
    clients: list[Connection] = []

    async def connect(agent: str, clock: Clock = system_clock) -> Connection:
        clients.append(await Mycelium.connect(url, agent=agent, clock=clock))
        return clients[-1]

    try:
        yield connect
    finally:
        for client in clients:
            await client.close()


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_wrong_clock_fires_nothing_twice_and_steals_no_lease(new_store: NewStore, hours: int) -> None:
    async with opened(new_store()) as connect:
        first = await connect("first")
        await one_keeps(first)
        holder, wrong = await connect("holder"), await connect("wrong", ahead(hours=hours))
        task = await holder.create_task("long")
        claimed = await holder.claim_task(task.id, lease_seconds=LEASE)
        assert claimed is not None
        await first.create_trigger({"event": {"channel": "c"}}, THEN, trigger_id="events")
        await first.create_trigger({"schedule": {"every_seconds": 1}}, THEN, trigger_id="ticks")
        for number in range(20):
            await wrong.publish_event("c", {"number": number})
        await anyio.sleep(OUTLIVED)  # so long the lease has to live on
        await first.close()
        await one_keeps(wrong, holder)
        for number in range(20, 40):
            await holder.publish_event("c", {"number": number})
        await anyio.sleep(OUTLIVED)
        assert (await holder.complete_task(task.id, lease_token=claimed.token)).status == "completed"
        assert await told(holder, "task.expired") == []
        await fired_once_each(holder)


async def fired_once_each(m: Mycelium) -> None:
    """Every published event, and every tick so far, has fired exactly once."""

    async def all_fired() -> bool:
        return (await m.get_trigger("events")).fired >= 40

    await until(all_fired)
    causes = Counter((e.data["trigger_id"], e.data["cause"]) for e in await told(m, "trigger.fired"))
    assert [cause for cause, times in causes.items() if times > 1] == []
    ticks = sum(trigger == "ticks" for trigger, _ in causes)
    assert 2 <= ticks <= 60, "as many as seconds have passed, not those of an hour"


async def test_who_comes_after_a_killed_housekeeper_steals_nothing_though_its_clock_is_wrong(
    new_store: NewStore,
) -> None:
    url = new_store()
    async with opened(url) as connect:
        await kill_one_that_keeps_house(url)
        wrong, holder = await connect("wrong", ahead(hours=1)), await connect("holder")
        task = await holder.create_task("long")
        claimed = await holder.claim_task(task.id, lease_seconds=LEASE)
        assert claimed is not None
        await one_keeps(wrong, holder)
        await anyio.sleep(OUTLIVED)
        assert (await holder.complete_task(task.id, lease_token=claimed.token)).status == "completed"
        assert await told(holder, "task.expired") == []


async def kill_one_that_keeps_house(url: str) -> None:
    process = await anyio.open_process([sys.executable, "-m", "tests.workflows.keeper", url], stderr=None)
    assert process.stdout is not None
    with anyio.fail_after(PATIENCE):
        await BufferedByteReceiveStream(process.stdout).receive_until(b"open\n", 100)

    async def kept() -> bool:
        (keeper,) = await reader.backend.get(Keeper, [HOUSE])
        return keeper is not None and keeper.agent == "doomed"

    async with Mycelium.open(url, agent="reader", background=False) as reader:
        await until(kept)
    process.kill()
    await process.wait()


async def test_only_one_of_many_keeps_house_and_another_takes_over(new_store: NewStore) -> None:
    async with opened(new_store()) as connect:
        clients = [await connect(f"a{number}") for number in range(4)]
        await one_keeps(*clients)
        await anyio.sleep(1)  # for a second one, if there could be one
        (keeper,) = [m for m in clients if m.house.mine]
        stats = (await keeper.get_stats()).housekeeper
        assert stats is not None
        assert stats.agent == keeper.agent
        await keeper.close()
        await one_keeps(*(m for m in clients if m is not keeper))
