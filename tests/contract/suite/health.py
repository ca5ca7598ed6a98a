"""Agents that fit: what they can do, where they look for work, and how well they do."""

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of
from tests.support.clock import FakeClock
from tests.support.store import claimed, refuses


async def fail(m: Mycelium, times: int) -> None:
    for _ in range(times):
        task = await m.create_task("x")
        await claimed(m, task.id)
        await m.fail_task(task.id, "broken")


async def agent_status(m: Mycelium, name: str) -> str:
    return (await m.get_agent_status(name)).status


class HealthContract(Contract):
    async def test_five_failures_in_a_row_mark_an_agent(self, m: Mycelium, bob: Mycelium) -> None:
        await fail(m, 4)
        assert await agent_status(bob, "ada") == "idle"
        await fail(m, 1)
        assert await agent_status(bob, "ada") == "error"
        task = await m.create_task("x")
        for wanted in (None, task.id):
            async with refuses(m, "not_claimable") as caught:
                await m.claim_task(wanted)
            assert "failed 5 times in a row" in str(caught.value)
        assert (await claimed(bob)).id == task.id
        told = [(event.data["agent"], event.data["status"]) for event in await events_of(m, "agent.status")]
        assert told.count(("ada", "error")) == 1

    async def test_a_success_in_between_begins_the_count_anew(self, m: Mycelium) -> None:
        await fail(m, 4)
        task = await m.create_task("x")
        await claimed(m, task.id)
        await m.complete_task(task.id)
        await fail(m, 4)
        assert await agent_status(m, "ada") == "idle"

    async def test_what_an_agent_says_of_itself_does_not_hide_its_failures(self, m: Mycelium) -> None:
        for _ in range(5):
            await m.store_agent_status(status="busy")
            await fail(m, 1)
            await m.store_agent_status(status="busy")
        assert await agent_status(m, "ada") == "error"
        task = await m.create_task("x")
        async with refuses(m, "not_claimable"):
            await m.claim_task(task.id)

    async def test_an_agent_that_is_well_again_says_that_it_is_idle(self, m: Mycelium) -> None:
        await fail(m, 5)
        assert (await m.store_agent_status(status="idle")).status == "idle"
        await fail(m, 4)
        assert await agent_status(m, "ada") == "idle"

    async def test_after_a_while_it_may_try_once_more(self, m: Mycelium, clock: FakeClock) -> None:
        await m.store_agent_status(ttl=3600.0)
        await fail(m, 5)
        clock.advance(301)
        await fail(m, 1)  # nobody needs to have noticed that it may
        assert await agent_status(m, "ada") == "error"
        clock.advance(301)
        await m.housekeep()
        assert await agent_status(m, "ada") == "idle"
        await fail(m, 1)
        assert await agent_status(m, "ada") == "error"

    async def test_going_away_and_coming_back_does_not_make_it_well(self, m: Mycelium, clock: FakeClock) -> None:
        await fail(m, 5)
        await m.leave()
        assert await agent_status(m, "ada") == "offline"
        await m.see()
        assert await agent_status(m, "ada") == "error"
        clock.advance(301)
        await m.leave()
        await m.see()
        assert await agent_status(m, "ada") == "idle"

    async def test_time_that_ran_out_counts_as_a_failure(self, m: Mycelium, clock: FakeClock) -> None:
        await m.store_agent_status(ttl=3600.0)
        for _ in range(5):
            task = await m.create_task("x", timeout_seconds=5.0)
            await claimed(m, task.id)
            clock.advance(6)
            await m.housekeep()
        assert await agent_status(m, "ada") == "error"

    async def test_a_named_task_is_refused_to_who_cannot_do_it(self, m: Mycelium, bob: Mycelium) -> None:
        await bob.see()
        task = await m.create_task("x", capabilities=["gpu", "python"])
        await bob.store_agent_status(capabilities=["gpu"])
        async with refuses(bob, "not_claimable") as caught:
            await bob.claim_task(task.id)
        assert caught.value.data["missing"] == ["python"]
        await bob.store_agent_status(capabilities=["python", "gpu", "rust"])
        assert (await claimed(bob)).id == task.id

    async def test_an_agent_that_lost_a_capability_elsewhere_gets_the_next_task(
        self, m: Mycelium, bob: Mycelium
    ) -> None:
        await m.store_agent_status(capabilities=["gpu"])
        await m.create_task("x", capabilities=["gpu"], priority="high")
        plain = await m.create_task("x")
        await bob.store_agent_status("ada", capabilities=[])
        assert (await claimed(m)).id == plain.id
        assert await m.claim_task() is None

    async def test_queues_are_kept_apart(self, m: Mycelium) -> None:
        made = {name: await m.create_task("x", queue=name) for name in ("task_processing", "llm_processing")}
        plain = await m.create_task("x", priority="high")
        assert [await m.claim_task(queues=["system_monitoring"]), await m.claim_task(queues=["other"])] == [None, None]
        task = await m.claim_task(queues=["llm_processing", "other"])
        assert task is not None
        assert task.id == made["llm_processing"].id
        assert [(await claimed(m)).id, (await claimed(m)).id] == [plain.id, made["task_processing"].id]
