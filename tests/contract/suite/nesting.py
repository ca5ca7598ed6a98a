"""Workflows within workflows."""

from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of, fails_at, outcome, standing, work_off
from tests.support.clock import FakeClock
from tests.support.store import claimed, refuses, status, told


def nested(*tasks: Any, **fields: Any) -> dict[str, Any]:
    """A task that a workflow of these tasks does."""
    own = {name: fields.pop(name) for name in ("on_failure", "timeout_seconds", "mode") if name in fields}
    return {"name": "outer", "workflow": {"type": "inner", "tasks": [*tasks], **own}, **fields}


class NestingContract(Contract):
    async def test_a_workflow_does_a_task_and_hands_its_results_up(self, m: Mycelium) -> None:
        payload = {"p": {"$from": "workflow.metadata.p"}}
        workflow = await m.create_workflow(
            "w",
            [
                nested("x", {"name": "y", "payload": {"p": {"$from": "workflow.metadata.p"}}}, payload=payload),
                {"name": "after", "payload": {"got": {"$from": "outer.result.y.p"}}},
            ],
            metadata={"p": 7},
        )
        assert await work_off(m, lambda task: dict(task.payload)) == ["outer.x", "outer.y", "after"]
        assert (await m.get_task(workflow.tasks[1])).payload == {"got": 7}
        inner = await m.get_workflow(workflow.tasks[0])
        assert (inner.parent, inner.status, inner.metadata) == (workflow.tasks[0], "completed", {"p": 7})
        assert await told(m, inner.id) == ["task.created", "task.started", "task.completed"]
        assert [event.data["workflow_id"] for event in await events_of(m, "workflow.completed")] == [
            inner.id, workflow.id,
        ]  # fmt: skip

    async def test_no_agent_ends_what_a_workflow_does(self, m: Mycelium) -> None:
        await m.see()
        workflow = await m.create_workflow("w", [nested("x")])
        outer = workflow.tasks[0]
        async with refuses(m, "illegal_transition"):
            await m.complete_task(outer)
        async with refuses(m, "not_claimable"):
            await m.claim_task(outer)

    async def test_a_failure_within_fails_the_task_and_what_comes_after(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [nested(nested("x", "y"), "z"), "after"])
        assert await work_off(m, fails_at("outer.outer.x")) == ["outer.outer.x"]
        assert await standing(m, workflow.id) == {"outer": "failed", "after": "skipped"}
        assert await outcome(m, workflow.id) == "failed"

    async def test_cancelling_reaches_all_the_way_in_and_the_outcome_all_the_way_out(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [nested(nested("x", "y"))])
        inner = f"{workflow.id}.outer.outer"
        held = await claimed(m)
        await m.cancel_workflow(workflow.id, "no more money")
        for id in (f"{workflow.id}.outer", inner):
            assert await outcome(m, id) == "cancelled"
            assert await status(m, id) == "cancelled"
        assert await standing(m, inner) == {"x": "cancelled", "y": "cancelled"}
        async with refuses(m, "stale_lease"):
            await m.complete_task(held.id, lease_token=held.token)

        workflow = await m.create_workflow("w", [nested(nested("x", "y")), "after"])
        await m.cancel_workflow(f"{workflow.id}.outer.outer")
        assert await standing(m, workflow.id) == {"outer": "cancelled", "after": "skipped"}
        assert await outcome(m, workflow.id) == "cancelled"

    async def test_pausing_holds_what_is_within_and_resuming_lets_it_go(self, m: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow(
            "w", [nested(nested("x", "y", timeout_seconds=100.0), timeout_seconds=200.0)]
        )
        inner = f"{workflow.id}.outer.outer"
        await m.pause_workflow(workflow.id)
        assert (await m.get_workflow(inner)).status == "paused"
        async with refuses(m, "illegal_transition") as caught:
            await m.resume_workflow(inner)
        assert "resume that one" in str(caught.value)
        assert await m.claim_task() is None
        clock.advance(1000)
        assert await m.housekeep() <= 1  # ada, who was not heard of
        await m.resume_workflow(workflow.id)
        assert await work_off(m) == ["outer.outer.x", "outer.outer.y"]
        assert await outcome(m, workflow.id) == "completed"

    async def test_a_task_that_holds_work_stands_still_while_it_is_paused(self, m: Mycelium, clock: FakeClock) -> None:
        task = {**nested("x"), "timeout_seconds": 100.0}
        workflow = await m.create_workflow("w", [task])
        clock.advance(60)
        await m.pause_workflow(workflow.id)
        clock.advance(1000)
        await m.housekeep()
        await m.resume_workflow(workflow.id)
        clock.advance(30)
        await m.housekeep()
        assert await status(m, workflow.tasks[0]) == "running"
        clock.advance(20)
        await m.housekeep()
        assert await status(m, workflow.tasks[0]) == "failed"
        assert await outcome(m, workflow.tasks[0]) == "cancelled"
        assert await outcome(m, workflow.id) == "failed"

    async def test_time_ends_a_workflow_within(self, m: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow("w", [nested("x", timeout_seconds=10.0), "after"])
        clock.advance(11)
        await m.housekeep()
        assert await standing(m, workflow.id) == {"outer": "failed", "after": "skipped"}
        assert (await m.get_workflow(workflow.tasks[0])).error == {
            "error": "timed out after 10 seconds", "code": "timeout",
        }  # fmt: skip

    async def test_retrying_goes_on_where_it_failed_within(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [nested(nested("x", "y"), "z"), "after"])
        assert await work_off(m, fails_at("outer.outer.y")) == ["outer.outer.x", "outer.outer.y"]
        await m.retry_workflow(workflow.id)
        assert await status(m, f"{workflow.id}.outer") == "running"
        assert await work_off(m) == ["outer.outer.y", "outer.z", "after"]
        assert await outcome(m, workflow.id) == "completed"

    async def test_what_was_undone_within_is_not_retried(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [nested({"name": "x", "undo": "unx"}, "y", on_failure="compensate")])
        assert await work_off(m, fails_at("outer.y")) == ["outer.x", "outer.y", "outer.x.undo"]
        assert await outcome(m, workflow.id) == "failed"
        async with refuses(m, "illegal_transition") as caught:
            await m.retry_workflow(workflow.id)
        assert "was undone" in str(caught.value)

    async def test_a_part_is_retried_with_its_whole(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [nested("x")])
        await work_off(m, fails_at("outer.x"))
        async with refuses(m, "illegal_transition") as caught:
            await m.retry_workflow(workflow.tasks[0])
        assert workflow.tasks[0] in str(caught.value)

    async def test_stopping_ends_what_is_within_the_others(self, m: Mycelium) -> None:
        tasks = ["a", nested("x", "y"), {"name": "each", "for_each": [1, 2]}]
        workflow = await m.create_workflow("w", tasks, mode="parallel", on_failure="stop")
        await claimed(m, workflow.tasks[0])
        await m.fail_task(workflow.tasks[0], "broken")
        assert await standing(m, workflow.id) == {"a": "failed", "outer": "cancelled", "each": "cancelled"}
        assert await m.claim_task() is None
        assert await outcome(m, workflow.id) == "failed"
        assert [await outcome(m, key) for key in workflow.tasks[1:]] == ["cancelled", "cancelled"]

    async def test_work_that_cannot_be_begun_fails_its_task(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [nested({"name": "x", "depends_on": ["t-nowhere"]}), "after"])
        outer = await m.get_task(workflow.tasks[0])
        assert (outer.status, outer.error and outer.error["code"]) == ("failed", "unknown_dependency")
        assert await outcome(m, workflow.id) == "failed"

    @pytest.mark.parametrize(
        ("tasks", "code"),
        [
            ([nested({"name": "x", "depends_on": ["y"]}, {"name": "y", "depends_on": ["x"]})], "dependency_cycle"),
            ([nested(nested({"name": "x", "depends_on": ["x"]}))], "dependency_cycle"),
            ([nested({"name": "x", "payload": {"v": {"$from": "after.result.v"}}}), "after"], "unknown_reference"),
            ([nested("x", "x")], "invalid_input"),
            ([nested("x"), "outer.x"], "invalid_input"),
            ([nested("undo", undo="u")], "invalid_input"),
            ([nested("x", max_attempts=2)], "invalid_input"),
        ],
    )
    async def test_a_wrong_part_is_refused_with_the_whole(self, m: Mycelium, tasks: Any, code: str) -> None:
        async with refuses(m, code):
            await m.create_workflow("w", tasks)

    @pytest.mark.parametrize("depth", [11, 40, 100, 1000])
    async def test_workflows_are_not_nested_without_end(self, m: Mycelium, depth: int) -> None:
        task: Any = "x"
        for _ in range(depth):
            task = nested(task)
        async with refuses(m, "invalid_input"):
            await m.create_workflow("w", [task])
