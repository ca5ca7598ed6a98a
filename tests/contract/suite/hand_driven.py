"""Workflows that agents drive themselves."""

from mycelium import Mycelium
from mycelium.client.monitor import WorkState
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import claimed, refuses


class HandDrivenContract(Contract):
    async def test_two_agents_do_not_drive_one_workflow(self, m: Mycelium, bob: Mycelium) -> None:
        workflow = await m.create_workflow("by hand")
        await m.update_workflow(workflow.id, progress=0.5)
        for verb in (
            lambda: bob.update_workflow(workflow.id, progress=0.1),
            lambda: bob.complete_workflow(workflow.id),
            lambda: bob.fail_workflow(workflow.id, "x"),
        ):
            async with refuses(m, "conflict") as caught:
                await verb()
            assert caught.value.data["driver"] == "ada"
        assert (await m.complete_workflow(workflow.id)).status == "completed"

    async def test_who_is_gone_or_silent_is_relieved(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        await m.store_agent_status(ttl=3600.0)
        first, second = await m.create_workflow("by hand"), await m.create_workflow("by hand")
        clock.advance(301)
        assert (await bob.update_workflow(first.id, progress=0.1)).driver == "bob"
        await m.update_workflow(second.id, progress=0.2)
        await m.leave()
        assert (await bob.update_workflow(second.id, progress=0.3)).driver == "bob"

    async def test_anybody_may_call_it_off(self, m: Mycelium, bob: Mycelium) -> None:
        await m.see()
        workflow = await m.create_workflow("by hand")
        assert (await bob.cancel_workflow(workflow.id, "enough")).status == "cancelled"

    async def test_a_workflow_by_hand_runs_out_of_time(self, m: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow("by hand", timeout_seconds=10.0)
        clock.advance(11)
        await m.housekeep()
        found = await m.get_workflow(workflow.id)
        assert (found.status, found.error and found.error["code"]) == ("failed", "timeout")

    async def test_a_chain_is_followed_to_its_end(self, m: Mycelium, bob: Mycelium) -> None:
        first = await m.create_task("a")
        second = await m.create_task("b", depends_on=[first.id])
        third = await m.create_task("c", depends_on=[second.id])
        seen: list[WorkState] = []
        async for state in m.follow_workflow([first.id, second.id, third.id]):
            seen.append(state)
            if not state.finished:
                task = await claimed(bob)
                await bob.complete_task(task.id)
        assert [state.progress for state in seen] == sorted(state.progress for state in seen)
        assert (seen[-1].progress, seen[-1].succeeded) == (1.0, True)

    async def test_work_is_handed_from_agent_to_agent(self, m: Mycelium, bob: Mycelium) -> None:
        task = await m.create_task("draft", assigned_to="ada")
        await claimed(m, task.id)
        await m.complete_task(task.id, {"text": "a draft"})
        review = await m.create_task(
            "review", assigned_to="bob", depends_on=[task.id], payload={"text": {"$from": f"{task.id}.result.text"}}
        )
        assert await m.claim_task() is None
        handed = await claimed(bob)
        assert (handed.id, handed.payload) == (review.id, {"text": "a draft"})
