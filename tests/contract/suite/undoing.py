"""What a failure means for a workflow: nothing for the others, their end, or that what they did is undone."""

from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of, fails_at, outcome, standing, work_off
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, refuses, status

JOURNEY: list[Any] = [
    {"name": "reserve", "undo": {"type": "free", "payload": {"what": {"$from": "reserve.result.did"}}}},
    {"name": "pay", "undo": "refund"},
    "note",
    "ship",
]


class UndoingContract(Contract):
    async def test_what_was_done_is_undone_last_first(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", JOURNEY, on_failure="compensate")
        order = await work_off(m, fails_at("ship"))
        assert order == ["reserve", "pay", "note", "ship", "pay.undo", "reserve.undo"]
        undone = await m.get_task(f"{workflow.id}.reserve.undo")
        assert (undone.type, undone.payload) == ("free", {"what": "reserve"})
        found = await m.get_workflow(workflow.id)
        assert found.status == "failed"
        assert found.error == {"error": f"{workflow.id}.ship failed: broken", "task_id": f"{workflow.id}.ship"}
        assert len(await events_of(m, "workflow.compensating")) == 1
        assert len(await events_of(m, "workflow.failed")) == 1

    async def test_an_undo_that_fails_does_not_keep_the_others_from_being_tried(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", JOURNEY, on_failure="compensate")
        assert (await work_off(m, fails_at("ship", "pay.undo")))[-2:] == ["pay.undo", "reserve.undo"]
        assert await outcome(m, workflow.id) == "failed"

    async def test_an_undo_whose_values_cannot_be_had_fails_and_the_next_one_runs(self, m: Mycelium) -> None:
        tasks: list[Any] = [
            {"name": "a", "undo": "una"},
            {"name": "b", "undo": {"type": "unb", "payload": {"x": {"$from": "b.result.gone"}}}},
            "c",
        ]
        workflow = await m.create_workflow("w", tasks, on_failure="compensate")
        assert await work_off(m, fails_at("c")) == ["a", "b", "c", "a.undo"]
        assert (await m.get_task(f"{workflow.id}.b.undo")).status == "failed"
        assert await outcome(m, workflow.id) == "failed"

    async def test_what_was_done_within_is_undone_too(self, m: Mycelium) -> None:
        inner = [{"name": "book", "undo": {"type": "unbook", "payload": {"for": {"$from": "workflow.metadata.who"}}}}]
        tasks: list[Any] = [{"name": "trip", "workflow": {"type": "i", "tasks": inner}, "payload": {"who": "eve"}}, "b"]
        workflow = await m.create_workflow("w", tasks, on_failure="compensate")
        assert await work_off(m, fails_at("b")) == ["trip.book", "b", "trip.book.undo"]
        assert (await m.get_task(f"{workflow.id}.trip.book.undo")).payload == {"for": "eve"}
        assert await outcome(m, workflow.id) == "failed"

    async def test_each_thing_that_was_done_of_a_list_is_undone(self, m: Mycelium) -> None:
        undo = {"type": "un", "payload": {"what": {"$from": "item"}}}
        tasks: list[Any] = [{"name": "each", "for_each": ["a", "b", "c"], "undo": undo}]
        workflow = await m.create_workflow("w", tasks, on_failure="compensate")
        order = await work_off(m, fails_at("each.1"))
        assert order == ["each.0", "each.1", "each.2", "each.2.undo", "each.0.undo"]
        assert (await m.get_task(f"{workflow.id}.each.2.undo")).payload == {"what": "c"}

    async def test_undoing_that_has_begun_goes_on_whatever_becomes_of_the_rest(self, m: Mycelium) -> None:
        inner = {"type": "i", "tasks": [{"name": "x", "undo": "unx"}, "y"], "on_failure": "compensate"}
        tasks: list[Any] = [{"name": "in", "workflow": inner}, "other"]
        workflow = await m.create_workflow("w", tasks, mode="parallel", on_failure="stop")
        for name in ("in.x", "in.y"):
            await claimed(m, f"{workflow.id}.{name}")
            await (m.complete_task if name == "in.x" else m.fail_task)(f"{workflow.id}.{name}", {"error": "e"})
        await claimed(m, f"{workflow.id}.other")
        await m.fail_task(f"{workflow.id}.other", "broken")
        assert await outcome(m, workflow.id) == "failed"
        assert await work_off(m) == ["in.x.undo"]
        assert await outcome(m, f"{workflow.id}.in") == "failed"

    async def test_a_no_undoes_what_was_done(self, m: Mycelium) -> None:
        tasks: list[Any] = [{"name": "reserve", "undo": "free"}, {"name": "pay", "approval": "Pay?"}]
        workflow = await m.create_workflow("w", tasks, on_failure="compensate")
        await work_off(m)
        await m.reject_task(f"{workflow.id}.pay", by="eve")
        assert await work_off(m) == ["reserve.undo"]
        found = await m.get_workflow(workflow.id)
        assert found.status == "failed"
        assert found.error is not None
        assert found.error["error"] == f"{workflow.id}.pay was cancelled: rejected by eve"

    async def test_where_nothing_was_done_nothing_is_undone(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", JOURNEY, on_failure="compensate")
        assert await work_off(m, fails_at("reserve")) == ["reserve"]
        assert await outcome(m, workflow.id) == "failed"

    async def test_a_failure_calls_off_what_still_runs_before_it_is_undone(self, m: Mycelium) -> None:
        workflow = await m.create_workflow(
            "w", [{"name": "a", "undo": "una"}, "b", "c"], mode="parallel", on_failure="compensate"
        )
        a, b, c = workflow.tasks
        await done(m, a)
        held = await claimed(m, b)
        await claimed(m, c)
        await m.fail_task(c, "broken")
        assert await standing(m, workflow.id) == {
            "a": "completed", "b": "cancelled", "c": "failed", "a.undo": "pending",
        }  # fmt: skip
        assert await outcome(m, workflow.id) == "compensating"
        async with refuses(m, "stale_lease"):
            await m.complete_task(held.id, lease_token=held.token)
        for verb in (m.pause_workflow, m.resume_workflow, m.complete_workflow, m.retry_workflow):
            async with refuses(m, "illegal_transition"):
                await verb(workflow.id)
        assert await work_off(m) == ["a.undo"]
        assert await outcome(m, workflow.id) == "failed"
        async with refuses(m, "illegal_transition"):
            await m.retry_workflow(workflow.id)

    async def test_time_does_not_end_the_undoing(self, m: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow("w", JOURNEY, on_failure="compensate", timeout_seconds=100.0)
        assert await m.claim_task() is not None
        await m.complete_task(workflow.tasks[0], {"did": "it"})
        await claimed(m)
        await m.fail_task(workflow.tasks[1], "broken")
        clock.advance(1000)
        await m.housekeep()
        assert await outcome(m, workflow.id) == "compensating"
        assert await work_off(m) == ["reserve.undo"]

    async def test_a_workflow_that_takes_too_long_is_undone(self, m: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow("w", JOURNEY, on_failure="compensate", timeout_seconds=100.0)
        await claimed(m)
        await m.complete_task(workflow.tasks[0], {"did": "it"})
        clock.advance(101)
        await m.housekeep()
        assert await outcome(m, workflow.id) == "compensating"
        assert await work_off(m) == ["reserve.undo"]
        found = await m.get_workflow(workflow.id)
        assert (found.status, found.error) == ("failed", {"error": "timed out after 100 seconds", "code": "timeout"})
        assert len(await events_of(m, "workflow.timed_out")) == 1

    async def test_a_compensation_that_is_called_off_is_cancelled(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", JOURNEY, on_failure="compensate")
        for _ in range(3):
            task = await claimed(m)
            await (m.fail_task(task.id, "x") if task.type == "note" else m.complete_task(task.id, {"did": 1}))
        await m.cancel_workflow(workflow.id)
        assert await outcome(m, workflow.id) == "cancelled"
        assert await m.claim_task() is None

    async def test_stopping_ends_the_others_at_the_first_failure(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c"], mode="parallel", on_failure="stop")
        await claimed(m, workflow.tasks[1])
        await claimed(m, workflow.tasks[0])
        await m.fail_task(workflow.tasks[0], "broken")
        assert await standing(m, workflow.id) == {"a": "failed", "b": "cancelled", "c": "cancelled"}
        assert await outcome(m, workflow.id) == "failed"
        assert len(await events_of(m, "workflow.failed")) == 1

    @pytest.mark.parametrize("policy", ["stop", "compensate"])
    async def test_a_task_that_fails_as_it_is_declared_ends_the_others_too(self, m: Mycelium, policy: Any) -> None:
        bad = {"name": "bad", "payload": {"x": {"$from": "workflow.metadata.gone"}}}
        workflow = await m.create_workflow("w", ["a", bad, "b"], mode="parallel", on_failure=policy)
        assert await standing(m, workflow.id) == {"a": "cancelled", "bad": "failed", "b": "cancelled"}
        assert workflow.status == "failed"

    async def test_an_attempt_that_is_repeated_is_no_failure_of_the_workflow(self, m: Mycelium) -> None:
        tasks = [{"name": "a", "max_attempts": 2, "retry_backoff": 0.0}, "b"]
        workflow = await m.create_workflow("w", tasks, on_failure="stop")
        await claimed(m)
        await m.fail_task(workflow.tasks[0], "once")
        assert await status(m, workflow.tasks[0]) == "ready"
        assert await work_off(m) == ["a", "b"]
        assert await outcome(m, workflow.id) == "completed"

    @pytest.mark.parametrize(
        ("tasks", "code"),
        [
            ([{"name": "a", "undo": "u"}, "a.undo"], "invalid_input"),
            ([{"name": "a" * 110, "undo": "u"}], "invalid_id"),
            ([{"name": "a", "undo": {"type": "u", "payload": {"x": {"$from": "zz.result.y"}}}}], "unknown_reference"),
            ([{"name": "a", "undo": 5}], "invalid_input"),
        ],
    )
    async def test_an_undo_that_could_not_be_made_is_refused_at_once(self, m: Mycelium, tasks: Any, code: str) -> None:
        async with refuses(m, code):
            await m.create_workflow("w", tasks, on_failure="compensate")
