"""Workflows that are paused, resumed, called off and retried."""

from datetime import timedelta

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of, fails_at, outcome, standing, work_off
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, refuses, status, told


class HoldingContract(Contract):
    async def test_nobody_claims_from_a_paused_workflow(self, m: Mycelium, bob: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c"], mode="parallel")
        held = await claimed(m, workflow.tasks[0])
        paused = await bob.pause_workflow(workflow.id)
        assert (paused.status, await bob.pause_workflow(workflow.id)) == ("paused", paused)
        assert await bob.claim_task() is None
        async with refuses(bob, "not_claimable") as caught:
            await bob.claim_task(workflow.tasks[1])
        assert "paused" in str(caught.value)
        await m.complete_task(held.id)  # what runs goes on
        assert await outcome(m, workflow.id) == "paused"
        await bob.resume_workflow(workflow.id)
        assert sorted(await work_off(bob)) == ["b", "c"]
        assert await outcome(m, workflow.id) == "completed"
        assert len(await events_of(m, "workflow.paused")) == len(await events_of(m, "workflow.resumed")) == 1

    async def test_what_comes_back_in_a_paused_workflow_waits(self, m: Mycelium, clock: FakeClock) -> None:
        tasks = [{"name": name, "max_attempts": 2, "retry_backoff": 0.0} for name in "abc"]
        workflow = await m.create_workflow("w", tasks, mode="parallel")
        for key in workflow.tasks:
            await claimed(m, key)
        await m.pause_workflow(workflow.id)
        await m.fail_task(workflow.tasks[0], "broken")
        await m.update_task(workflow.tasks[1], release=True)
        clock.advance(61)
        await m.housekeep()
        assert await m.claim_task() is None
        await m.resume_workflow(workflow.id)
        assert sorted(await work_off(m)) == ["a", "b", "c"]

    async def test_a_paused_workflow_ends_when_its_last_task_does(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a"])
        await claimed(m)
        await m.pause_workflow(workflow.id)
        await m.complete_task(workflow.tasks[0])
        assert await outcome(m, workflow.id) == "completed"

    async def test_the_time_of_a_paused_workflow_stands_still(self, m: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow("w", ["a"], timeout_seconds=100.0)
        clock.advance(60)
        await m.pause_workflow(workflow.id)
        clock.advance(1000)
        await m.housekeep()
        assert await outcome(m, workflow.id) == "paused"
        resumed = await m.resume_workflow(workflow.id)
        assert resumed.timeout_at == clock() + timedelta(seconds=40)
        clock.advance(41)
        await m.housekeep()
        assert await outcome(m, workflow.id) == "failed"
        assert await status(m, workflow.tasks[0]) == "cancelled"

    async def test_a_time_that_came_during_the_pause_is_told_once(self, m: Mycelium, clock: FakeClock) -> None:
        at = clock() + timedelta(seconds=50)
        workflow = await m.create_workflow("w", [{"name": "a", "not_before": at}])
        await m.pause_workflow(workflow.id)
        clock.advance(100)
        await m.housekeep()
        await m.resume_workflow(workflow.id)
        await m.housekeep()
        assert (await told(m, workflow.tasks[0])).count("task.ready") == 1
        assert (await m.get_task(workflow.tasks[0])).not_before is None

    @pytest.mark.parametrize("verb", ["pause_workflow", "resume_workflow", "cancel_workflow"])
    async def test_what_has_ended_is_not_held_up(self, m: Mycelium, verb: str) -> None:
        workflow = await m.create_workflow("w", ["a"])
        await done(m, workflow.tasks[0])
        async with refuses(m, "illegal_transition"):
            await getattr(m, verb)(workflow.id)
        async with refuses(m, "not_found"):
            await getattr(m, verb)("w-nowhere")

    async def test_cancelling_while_completing_one_comes_first(self, m: Mycelium, bob: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b"])
        held = await claimed(m)
        await bob.cancel_workflow(workflow.id, "enough")
        async with refuses(m, "stale_lease"):
            await m.complete_task(held.id, lease_token=held.token)
        assert (await m.get_workflow(workflow.id)).error == {"error": "enough"}
        workflow = await m.create_workflow("w", ["a"])
        await done(m, workflow.tasks[0])
        async with refuses(bob, "illegal_transition"):
            await bob.cancel_workflow(workflow.id)
        assert await outcome(m, workflow.id) == "completed"

    async def test_a_retry_does_again_what_was_not_completed(self, m: Mycelium) -> None:
        tasks = ["a", {"name": "b", "max_attempts": 2, "retry_backoff": 0.0}, "c", "d"]
        workflow = await m.create_workflow("w", tasks)
        assert await work_off(m, fails_at("b")) == ["a", "b"]
        assert await outcome(m, workflow.id) == "failed"
        retried = await m.retry_workflow(workflow.id)
        assert (retried.status, retried.error) == ("running", None)
        task = await m.get_task(workflow.tasks[1])
        assert (task.attempt, task.error) == (0, None)
        assert await work_off(m) == ["b", "c", "d"]
        assert await outcome(m, workflow.id) == "completed"
        assert len(await events_of(m, "workflow.retried")) == 1

    async def test_a_retry_goes_on_with_a_fallback_that_holds_work(self, m: Mycelium) -> None:
        fallback = {"name": "b", "depends_on": ["a"], "run_when": "all_done", "workflow": {"type": "i", "tasks": ["x"]}}
        workflow = await m.create_workflow("w", ["a", fallback])
        assert await work_off(m, fails_at("a", "b.x")) == ["a", "b.x"]
        await m.retry_workflow(workflow.id)
        assert await work_off(m) == ["a", "b.x"]
        assert await outcome(m, workflow.id) == "completed"

    async def test_a_cancelled_workflow_may_go_on_later(self, m: Mycelium, clock: FakeClock) -> None:
        at = clock() + timedelta(seconds=500)
        workflow = await m.create_workflow("w", ["a", {"name": "b", "not_before": at}], timeout_seconds=100.0)
        held = await claimed(m)
        await m.cancel_workflow(workflow.id)
        clock.advance(200)
        retried = await m.retry_workflow(workflow.id)
        assert retried.timeout_at == clock() + timedelta(seconds=100)
        again = await claimed(m)
        assert (again.id, again.attempt) == (held.id, 1)
        assert again.token > held.token
        await m.complete_task(again.id)
        assert await m.claim_task() is None
        assert (await m.get_task(workflow.tasks[1])).not_before == at

    async def test_a_task_that_was_skipped_while_paused_is_free_after_a_retry(self, m: Mycelium) -> None:
        wanted = {"path": "a.result.go", "value": True}
        workflow = await m.create_workflow(
            "w", ["a", {"name": "b", "depends_on": ["a"], "condition": wanted}, "c"], mode="parallel"
        )
        await claimed(m, workflow.tasks[0])
        await claimed(m, workflow.tasks[2])
        await m.pause_workflow(workflow.id)
        await m.complete_task(workflow.tasks[0], {"go": True})
        await m.cancel_workflow(workflow.id)
        await m.retry_workflow(workflow.id)
        assert sorted(await work_off(m)) == ["b", "c"]

    async def test_a_retry_that_fails_at_once_is_told_at_once(self, m: Mycelium) -> None:
        bad = {"name": "b", "payload": {"x": {"$from": "a.result.gone"}}}
        workflow = await m.create_workflow("w", ["a", bad, "c"])
        await work_off(m)
        retried = await m.retry_workflow(workflow.id)
        assert retried.status == "failed"
        assert await standing(m, workflow.id) == {"a": "completed", "b": "failed", "c": "skipped"}
        assert len(await events_of(m, "workflow.failed")) == 2

    async def test_an_empty_list_in_a_retry_lets_go_what_waits_on_it(self, m: Mycelium) -> None:
        each = {"name": "each", "for_each": "a.result.list", "depends_on": ["gate"]}
        workflow = await m.create_workflow(
            "w", ["a", {"name": "gate", "depends_on": ["a"]}, each, {"name": "z", "depends_on": ["each"]}]
        )
        assert await work_off(m, lambda t: {"list": []} if t.type == "a" else None) == ["a", "gate"]
        await m.retry_workflow(workflow.id)
        assert await work_off(m) == ["gate", "z"]
        assert await outcome(m, workflow.id) == "completed"

    async def test_only_what_ended_badly_is_retried(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a"])
        async with refuses(m, "illegal_transition"):
            await m.retry_workflow(workflow.id)
        await done(m, workflow.tasks[0])
        async with refuses(m, "illegal_transition"):
            await m.retry_workflow(workflow.id)
        by_hand = await m.create_workflow("w")
        await m.fail_workflow(by_hand.id, "x")
        async with refuses(m, "illegal_transition"):
            await m.retry_workflow(by_hand.id)

    async def test_a_store_whose_workflow_was_retried_moves(self, m: Mycelium, fresh: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", {"name": "e", "for_each": [1]}], mode="parallel")
        outside = await m.create_task("x", depends_on=[workflow.tasks[0]], run_when="all_done")
        await m.claim_task(workflow.tasks[0])
        await m.cancel_workflow(workflow.id)
        await m.retry_workflow(workflow.id)
        await m.pause_workflow(workflow.id)
        assert await status(m, outside.id) == "ready"
        await fresh.load(m.export())
        await fresh.resume_workflow(workflow.id)
        assert sorted(await work_off(fresh))[:2] == ["a", "e.0"]
        assert await outcome(fresh, workflow.id) == "completed"
