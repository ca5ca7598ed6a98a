"""Monitoring: work is followed to its end, and a store says what waits in it."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from mycelium.client.monitor import WorkState
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed, done, failed, refuses


async def while_watched(
    m: Mycelium, watched: str | list[str], act: Callable[[], Coroutine[Any, Any, None]]
) -> list[WorkState]:
    """Every state that is told of it, from before `act` to its end."""
    states: list[WorkState] = []
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(PATIENCE):
            async for state in m.follow_workflow(watched):
                if not states:
                    tasks.start_soon(act)
                states.append(state)
    return states


class MonitoringContract(Contract):
    async def test_a_chain_of_tasks_is_followed_to_its_end(self, m: Mycelium, bob: Mycelium) -> None:
        first = await m.create_task("a")
        second = await m.create_task("b", depends_on=[first.id])
        await m.create_task("unrelated")

        async def work() -> None:
            for task in (first, second):
                await claimed(bob, task.id)
                await bob.update_task(task.id, progress=0.5)
                await bob.complete_task(task.id, {"by": "bob"})

        states = await while_watched(m, [first.id, second.id], work)
        assert (states[0].progress, states[0].finished, states[0].succeeded) == (0, False, False)
        assert [state.progress for state in states] == sorted(state.progress for state in states)
        last = states[-1]
        assert (last.progress, last.finished, last.succeeded, last.counts) == (1, True, True, {"completed": 2})
        assert [task.result for task in last.tasks] == [{"by": "bob"}] * 2
        assert last.workflow is None

    async def test_a_workflow_is_followed_to_its_outcome(self, m: Mycelium, bob: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c"])

        async def work() -> None:
            await done(bob, workflow.tasks[0])
            await failed(bob, workflow.tasks[1])

        last = (await while_watched(m, workflow.id, work))[-1]
        assert last.workflow == await m.get_workflow(workflow.id)
        assert (last.finished, last.succeeded) == (True, False)
        assert last.counts == {"completed": 1, "failed": 1, "skipped": 1}
        assert last.tasks == await m.get_tasks(workflow.tasks)

    async def test_a_workflow_that_is_driven_by_hand_is_followed(self, m: Mycelium, bob: Mycelium) -> None:
        workflow = await m.create_workflow("w")

        async def drive() -> None:
            await bob.update_workflow(workflow.id, progress=0.75)
            await bob.complete_workflow(workflow.id, {"ok": True})

        states = await while_watched(m, workflow.id, drive)
        assert states[0].progress == 0
        assert (states[-1].progress, states[-1].succeeded) == (1, True)

    async def test_work_that_is_over_is_reported_at_once(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        await m.cancel_task(task.id)
        workflow = await m.create_workflow("w", ["a"])
        await done(m, workflow.tasks[0])
        with anyio.fail_after(PATIENCE):
            ended = await m.monitor_workflow([task.id])
            assert (ended.finished, ended.succeeded, ended.tasks) == (True, False, [await m.get_task(task.id)])
            assert (await m.monitor_workflow(workflow.id)).succeeded
            assert (await m.monitor_workflow([])).succeeded

    async def test_a_failed_attempt_that_is_repeated_is_no_end(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        task = await m.create_task("x", max_attempts=2, retry_backoff=5)

        async def work() -> None:
            await claimed(bob, task.id)
            await bob.fail_task(task.id, "broken")
            clock.advance(5)
            await bob.housekeep()
            await done(bob, task.id)

        assert (await while_watched(m, [task.id], work))[-1].succeeded

    async def test_waiting_ends_at_the_deadline_with_what_there_is(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        for seconds in (0, 0.05):
            with anyio.fail_after(PATIENCE):
                state = await m.monitor_workflow([task.id], wait_seconds=seconds)
            assert (state.finished, state.succeeded, state.tasks) == (False, False, [task])

    @pytest.mark.parametrize(
        ("watched", "code"),
        [("w-gone", "not_found"), (["t-gone"], "not_found"), ("not a name", "invalid_id"), (["no id"], "invalid_id")],
    )
    async def test_work_that_is_not_there_cannot_be_followed(
        self, m: Mycelium, watched: str | list[str], code: str
    ) -> None:
        async with refuses(m, code):
            await m.monitor_workflow(watched)
        async with refuses(m, "invalid_input"):
            await m.monitor_workflow([], wait_seconds=-1)

    async def test_stats_count_the_ready_tasks_by_their_priority(self, m: Mycelium, clock: FakeClock) -> None:
        assert (await m.get_stats()).task_queue_size == 0
        later = clock.advance(0).replace(minute=5)
        for priority in ("low", "high", "high", "normal", "critical"):
            await m.create_task("x", priority=priority)
        await m.create_task("x", priority="low", not_before=later)
        await claimed(m)
        await m.create_task("x", priority="high", depends_on=[(await m.list_tasks(limit=1)).records[0].id])
        stats = await m.get_stats()
        assert stats.queues == {"high": 2, "normal": 1, "low": 1}
        assert stats.task_queue_size == stats.ready == 4
        clock.advance(600)
        assert (await m.get_stats()).queues["low"] == 2

    async def test_stats_count_the_agents_that_are_there(self, m: Mycelium) -> None:
        await m.store_agent_status("eve", "busy")
        await m.store_agent_status("bob", "idle")
        await m.store_agent_status("zoe", "offline")
        assert (await m.get_stats()).agent_count == 2

    async def test_stats_tell_how_long_this_clients_calls_took(self, m: Mycelium, bob: Mycelium) -> None:
        assert (await m.get_stats()).avg_latency is None
        await m.create_task("x")
        taken = (await m.get_stats()).avg_latency
        assert taken is not None
        assert 0 < taken < 1000 * PATIENCE
        assert (await bob.get_stats()).avg_latency is None

    async def test_a_workflow_is_as_far_whichever_way_one_asks(self, m: Mycelium) -> None:
        failed = await m.create_workflow("w", ["a", "b"], on_failure="stop")
        await m.claim_task(f"{failed.id}.a")
        await m.update_task(f"{failed.id}.a", progress=0.5)
        await self._agree(m, failed.id, 0.25)
        await m.fail_task(f"{failed.id}.a", "no")
        await self._agree(m, failed.id, 1.0)
        cancelled = await m.create_workflow("w", ["a"])
        await m.cancel_workflow(cancelled.id)
        await self._agree(m, cancelled.id, 1.0)
        driven = await m.create_workflow("w", ["a"])
        await m.update_workflow(driven.id, current_task="packing")
        await self._agree(m, driven.id, 0.0)
        await m.update_workflow(driven.id, progress=0.3)
        await m.fail_workflow(driven.id, "no")
        await self._agree(m, driven.id, 0.3)
        without = await m.create_workflow("w")
        await m.fail_workflow(without.id, "no")
        await self._agree(m, without.id, 0.0)

    async def _agree(self, m: Mycelium, workflow_id: str, expected: float) -> None:
        found = await m.get_workflow(workflow_id)
        listed = {each.id: each.progress for each in (await m.list_workflows()).records}
        state = await m.wait_for(workflow_id, wait_seconds=0)
        assert (found.progress, listed[workflow_id], state.progress) == (expected, expected, expected)
