"""A person's yes, and what a task may use up."""

from datetime import timedelta
from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import outcome, standing, work_off
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, refuses, status, told


class ApprovingContract(Contract):
    async def test_a_task_waits_for_a_persons_yes(self, m: Mycelium, bob: Mycelium) -> None:
        task = await m.create_task("deploy", approval="Deploy to production?")
        assert await bob.claim_task() is None
        async with refuses(bob, "not_claimable") as caught:
            await bob.claim_task(task.id)
        assert caught.value.data["approval"] == "Deploy to production?"
        approved = await m.approve_task(task.id, by="Eve", note="go")
        assert approved.approved is not None
        assert (approved.approved.by, approved.approved.note) == ("Eve", "go")
        assert await m.approve_task(task.id, by="Mallory") == approved
        assert (await claimed(bob)).id == task.id
        assert await told(m, task.id) == [
            "task.created", "task.approval_requested", "task.approved", "task.ready", "task.started",
        ]  # fmt: skip

    async def test_a_no_calls_the_task_off_and_what_needs_it(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [{"name": "a", "approval": "Sure?"}, "b"])
        rejected = await m.reject_task(workflow.tasks[0], by="Eve", note="not today")
        assert (rejected.status, rejected.error) == ("cancelled", {"error": "rejected by Eve: not today"})
        assert await standing(m, workflow.id) == {"a": "cancelled", "b": "skipped"}
        assert await outcome(m, workflow.id) == "cancelled"

    async def test_a_yes_may_come_before_it_is_asked_for(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", {"name": "b", "approval": "Sure?"}])
        await m.approve_task(workflow.tasks[1], by="Eve")
        await done(m, workflow.tasks[0])
        assert await status(m, workflow.tasks[1]) == "ready"
        assert "task.approval_requested" not in await told(m, workflow.tasks[1])

    async def test_a_yes_does_not_outrun_time_nor_a_pause(self, m: Mycelium, clock: FakeClock) -> None:
        at = clock() + timedelta(seconds=100)
        task = {"name": "a", "approval": "Sure?", "not_before": at, "for_each": [1, 2]}
        workflow = await m.create_workflow("w", [task])
        await m.pause_workflow(workflow.id)
        await m.approve_task(workflow.tasks[0], by="Eve")
        clock.advance(50)
        await m.resume_workflow(workflow.id)
        await m.housekeep()
        assert await status(m, workflow.tasks[0]) == "waiting"
        clock.advance(50)
        await m.housekeep()
        assert await work_off(m) == ["a.0", "a.1"]

    async def test_a_yes_begins_the_work_that_others_do(self, m: Mycelium) -> None:
        task: Any = {"name": "a", "approval": "Sure?", "workflow": {"type": "inner", "tasks": []}}
        workflow = await m.create_workflow("w", [task, "b"])
        assert (await m.approve_task(workflow.tasks[0], by="Eve")).status == "completed"
        assert await work_off(m) == ["b"]

    async def test_a_skipped_task_asks_nobody(self, m: Mycelium) -> None:
        never = {"path": "a.status", "value": "failed"}
        workflow = await m.create_workflow("w", ["a", {"name": "b", "condition": never, "approval": "Sure?"}])
        await done(m, workflow.tasks[0])
        assert await told(m, workflow.tasks[1]) == ["task.created", "task.skipped"]
        async with refuses(m, "illegal_transition"):
            await m.approve_task(workflow.tasks[1], by="Eve")

    async def test_who_was_not_asked_cannot_answer(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        asked = await m.create_task("x", approval="Sure?")
        await m.approve_task(asked.id, by="Eve")
        for verb, id, by, code in (
            (m.approve_task, task.id, "Eve", "illegal_transition"),
            (m.reject_task, task.id, "Eve", "illegal_transition"),
            (m.reject_task, asked.id, "Eve", "illegal_transition"),
            (m.approve_task, "t-nowhere", "Eve", "not_found"),
            (m.approve_task, asked.id, "", "invalid_input"),
        ):
            async with refuses(m, code):
                await verb(id, by=by)
        async with refuses(m, "invalid_input"):
            await m.create_task("x", approval="")

    async def test_tokens_and_turns_stop_a_task(self, m: Mycelium) -> None:
        task = await m.create_task("x", budget={"tokens": 100, "turns": 3}, max_attempts=5)
        await claimed(m, task.id)
        await m.update_task(task.id, spent={"tokens": 60, "turns": 1})
        assert (await m.update_task(task.id, spent={"tokens": 40})).status == "running"
        with pytest.raises(Exception, match="used 101 tokens, the budget is 100") as caught:
            await m.update_task(task.id, spent={"tokens": 1})
        assert getattr(caught.value, "code", None) == "budget_exceeded"
        found = await m.get_task(task.id)
        assert (found.status, found.error) == (
            "failed", {"error": "used 101 tokens, the budget is 100", "code": "budget_exceeded", "budget": "tokens"},
        )  # fmt: skip
        async with refuses(m, "stale_lease"):
            await m.complete_task(task.id, lease_token=found.token)

    async def test_the_end_of_a_task_with_a_budget_tells_what_it_took(self, m: Mycelium) -> None:
        task = await m.create_task("x", budget={"tokens": 100})
        await claimed(m, task.id)
        async with refuses(m, "invalid_input") as caught:
            await m.complete_task(task.id)
        assert "spent" in str(caught.value)
        await m.update_task(task.id, spent={"tokens": 0})
        await m.complete_task(task.id)
        assert await status(m, task.id) == "completed"

    async def test_a_budget_is_for_all_attempts_together(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", budget={"seconds": 100.0, "tokens": 10}, max_attempts=9, retry_backoff=0.0)
        for _ in range(3):
            await claimed(m, task.id, seconds=1000)
            await m.update_task(task.id, spent={"tokens": 3})
            clock.advance(30.1)
            await m.fail_task(task.id, "again")
        await claimed(m, task.id, seconds=1000)
        clock.advance(9)
        await m.housekeep()
        assert await status(m, task.id) == "running"
        clock.advance(1)
        await m.housekeep()
        found = await m.get_task(task.id)
        assert (found.status, found.error and found.error["budget"]) == ("failed", "seconds")
        assert found.spent is not None
        assert found.spent.tokens == 9

    @pytest.mark.parametrize("parts", [(0.1, 0.2), (0.7, 0.1, 0.1), (33.3, 33.3)])
    async def test_seconds_are_over_exactly_when_they_are(
        self, m: Mycelium, clock: FakeClock, parts: tuple[float, ...]
    ) -> None:
        limit = sum(parts) + 0.1
        task = await m.create_task("x", budget={"seconds": limit}, max_attempts=9, retry_backoff=0.0)
        for part in parts:
            await claimed(m, task.id, seconds=1000)
            clock.advance(part)
            await m.fail_task(task.id, "again")
        running = await claimed(m, task.id, seconds=1000)
        assert running.due_at is not None
        clock.now = running.due_at
        assert await m.housekeep() == 1
        assert await status(m, task.id) == "failed"

    @pytest.mark.parametrize(
        "wrong", [{"tokens": -1}, {"tokens": 1.5}, {"dollars": 1}, {"turns": True}, 5, [1], "many", {1: 2}]
    )
    async def test_a_wrong_report_is_refused(self, m: Mycelium, wrong: Any) -> None:
        task = await m.create_task("x", budget={"tokens": 9})
        await claimed(m, task.id)
        async with refuses(m, "invalid_input"):
            await m.update_task(task.id, spent=wrong)
        async with refuses(m, "invalid_input"):
            await m.create_task("x", budget={"seconds": -1.0})
