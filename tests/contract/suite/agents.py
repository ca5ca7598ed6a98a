"""Agents: what they say, when they are seen, and when they are gone."""

import pytest

from mycelium import Mycelium
from mycelium.models import Event
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import claimed, log, refuses


async def said(m: Mycelium) -> list[Event]:
    return [event for event in await log(m) if event.channel == "agents:events"]


class AgentContract(Contract):
    async def test_a_report_is_kept_whole(self, m: Mycelium, clock: FakeClock) -> None:
        agent = await m.store_agent_status(
            "eve", "error", active_tasks=["t-1"], capabilities=["gpu"], metadata={"gb": 24}, ttl=10
        )
        found = await m.get_agent_status("eve")
        assert found == agent
        assert (found.name, found.status, found.active_tasks, found.capabilities) == (
            "eve",
            "error",
            ("t-1",),
            ("gpu",),
        )
        assert (found.metadata, found.ttl, found.last_updated) == ({"gb": 24}, 10, clock())

    async def test_a_report_replaces_the_one_before(self, m: Mycelium) -> None:
        await m.store_agent_status(status="busy", metadata={"a": 1}, capabilities=["x"])
        await m.store_agent_status(status="idle")
        found = await m.get_agent_status()
        assert (found.status, found.metadata, found.capabilities) == ("idle", {}, ())

    async def test_only_a_report_that_changes_something_is_an_event(self, m: Mycelium, clock: FakeClock) -> None:
        await m.store_agent_status(status="idle")
        await m.store_agent_status(status="busy")
        clock.advance(5)
        again = await m.store_agent_status(status="busy")
        assert again.last_updated == clock()
        assert [event.data for event in await said(m)] == [
            {"agent": "ada", "status": "idle"},
            {"agent": "ada", "status": "busy", "previous": "idle"},
        ]
        assert {(event.type, event.source) for event in await said(m)} == {("agent.status", "ada")}

    async def test_an_agent_is_seen_by_its_calls(self, m: Mycelium, clock: FakeClock) -> None:
        await m.claim_task()
        assert (await m.get_agent_status()).status == "idle"
        for _ in range(10):
            clock.advance(100)
            await m.claim_task()
            await m.housekeep()
        assert [event.data["status"] for event in await said(m)] == ["idle"]

    async def test_an_agent_with_a_short_ttl_is_seen_by_its_calls_too(self, m: Mycelium, clock: FakeClock) -> None:
        await m.store_agent_status(ttl=6)
        for _ in range(10):
            clock.advance(3)
            await m.claim_task()
            await m.housekeep()
        assert (await m.get_agent_status()).status == "idle"
        assert len(await said(m)) == 1

    @pytest.mark.parametrize("status", ["idle", "busy", "error"])
    async def test_a_silent_agent_is_offline_when_its_time_has_passed(
        self, m: Mycelium, clock: FakeClock, status: str
    ) -> None:
        await m.store_agent_status("eve", status, ttl=10)  # pyright: ignore[reportArgumentType] - a parameter
        clock.advance(9.999)
        assert await m.housekeep() == 0
        clock.advance(0.001)
        assert await m.housekeep() == 1
        assert await m.housekeep() == 0
        assert (await m.get_agent_status("eve")).status == "offline"
        last = (await said(m))[-1]
        assert (last.type, last.source) == ("agent.status", None)
        assert last.data == {"agent": "eve", "status": "offline", "previous": status}

    async def test_an_offline_agent_that_calls_again_is_idle(self, m: Mycelium, clock: FakeClock) -> None:
        await m.store_agent_status(status="busy", ttl=10)
        clock.advance(10)
        await m.housekeep()
        await m.claim_task()
        assert [event.data["status"] for event in await said(m)] == ["busy", "offline", "idle"]

    async def test_an_agent_that_leaves_is_offline_at_once_and_once(self, m: Mycelium) -> None:
        await m.store_agent_status()
        await m.leave()
        await m.leave()
        await m.leave("unknown")
        assert [event.data["status"] for event in await said(m)] == ["idle", "offline"]

    async def test_a_removed_agent_is_unknown(self, m: Mycelium) -> None:
        await m.store_agent_status()
        await m.remove_agent_status()
        async with refuses(m, "not_found"):
            await m.get_agent_status()
        async with refuses(m, "not_found"):
            await m.remove_agent_status()
        assert (await said(m))[-1].type == "agent.removed"
        assert (await m.store_agent_status()).version == 1

    async def test_an_agent_that_holds_tasks_is_busy_with_them(self, m: Mycelium) -> None:
        await m.store_agent_status(active_tasks=["reading"])
        tasks = [await claimed(m, (await m.create_task("x")).id) for _ in range(2)]
        found = await m.get_agent_status()
        assert (found.status, set(found.active_tasks)) == ("busy", {"reading", *(task.id for task in tasks)})
        for task in tasks:
            await m.complete_task(task.id)
        assert (await m.get_agent_status()).status == "idle"

    async def test_agents_are_listed_by_name(self, m: Mycelium) -> None:
        for name in ("eve", "Zoe", "bob", "a.b", "0x"):
            await m.store_agent_status(name, "busy" if name == "bob" else "idle")
        assert [agent.name for agent in (await m.list_agents()).records] == ["0x", "Zoe", "a.b", "bob", "eve"]
        assert [agent.name for agent in (await m.list_agents(status="busy")).records] == ["bob"]

    async def test_a_listing_goes_on_past_an_agent_that_was_removed(self, m: Mycelium) -> None:
        for name in ("a", "b", "c", "d"):
            await m.store_agent_status(name)
        page = await m.list_agents(limit=2)
        await m.remove_agent_status("b")
        rest = await m.list_agents(limit=2, cursor=page.cursor)
        assert ([agent.name for agent in rest.records], rest.cursor) == (["c", "d"], None)
