"""A task for each thing in a list, and what collects what they made."""

from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of, fails_at, name_of, outcome, standing, work_off
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, refuses, status

SPREAD: list[Any] = [
    "survey",
    {
        "name": "review",
        "for_each": "survey.result.files",
        "payload": {"file": {"$from": "item"}, "n": {"$from": "index"}},
    },
    {"name": "report", "payload": {"all": {"$from": "review.result.items"}}},
]


class RepeatingContract(Contract):
    async def test_work_is_spread_over_a_list_and_collected_in_its_order(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("scan", SPREAD)

        def does(task: Any) -> Any:
            return {"files": ["a", "b", "c"]} if name_of(task) == "survey" else {"saw": task.payload}

        order = await work_off(m, does)
        assert order == ["survey", "review.0", "review.1", "review.2", "report"]
        report = await m.get_task(workflow.tasks[2])
        assert report.payload == {"all": [{"saw": {"file": file, "n": n}} for n, file in enumerate("abc")]}
        review = await m.get_task(workflow.tasks[1])
        assert review.result == {"items": report.payload["all"], "count": 3, "failed": 0}
        assert await outcome(m, workflow.id) == "completed"
        completed = [event.data["workflow_id"] for event in await events_of(m, "workflow.completed")]
        assert completed == [review.id, workflow.id]

    async def test_each_thing_of_a_list_has_its_own_time_and_attempts(self, m: Mycelium, clock: FakeClock) -> None:
        each = {"name": "each", "for_each": [1, 2], "max_attempts": 2, "retry_backoff": 0.0, "timeout_seconds": 10.0}
        workflow = await m.create_workflow("w", [each])
        for number in (0, 1):
            await claimed(m, f"{workflow.id}.each.{number}")
            clock.advance(8)
            await m.housekeep()
            await m.fail_task(f"{workflow.id}.each.{number}", "once")
            await done(m, f"{workflow.id}.each.{number}")
        assert (await m.get_workflow(workflow.id)).status == "completed"

    async def test_work_that_multiplies_is_refused_whole(self, m: Mycelium) -> None:
        inner = {"type": "i", "tasks": [f"t{number}" for number in range(100)]}
        workflow = await m.create_workflow("w", [{"name": "each", "for_each": [0] * 1000, "workflow": inner}])
        found = await m.get_task(f"{workflow.id}.each")
        assert (found.status, found.runs) == ("failed", None)
        assert found.error is not None
        assert "101000 tasks at once" in str(found.error["error"])

    @pytest.mark.parametrize("mode", ["sequential", "parallel", "dag"])
    async def test_an_empty_list_is_done_at_once(self, m: Mycelium, mode: Any) -> None:
        after = {"name": "after", "depends_on": ["each"], "payload": {"n": {"$from": "each.result.count"}}}
        workflow = await m.create_workflow("w", [{"name": "each", "for_each": []}, after], mode=mode)
        assert (await m.get_task(workflow.tasks[0])).result == {"items": [], "count": 0, "failed": 0}
        assert (await claimed(m)).payload == {"n": 0}
        await m.complete_task(workflow.tasks[1])
        assert await outcome(m, workflow.id) == "completed"

    async def test_many_empty_lists_in_a_row_end_in_one_change(self, m: Mycelium) -> None:
        chain: list[Any] = [{"name": f"n{n}", "for_each": []} for n in range(20)]
        workflow = await m.create_workflow("w", chain)
        assert workflow.status == "completed"
        fan_in = {"name": "last", "depends_on": [f"n{n}" for n in range(20)]}
        workflow = await m.create_workflow("w", [*chain, fan_in], mode="dag")
        assert await status(m, workflow.tasks[-1]) == "ready"

    async def test_one_failure_among_many_fails_the_whole_but_keeps_the_rest(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [{"name": "each", "for_each": [1, 2, 3]}, "after"])
        await work_off(m, fails_at("each.1"))
        each = await m.get_task(workflow.tasks[0])
        assert each.status == "failed"
        assert each.result == {"items": [{"did": "each.0"}, None, {"did": "each.2"}], "count": 3, "failed": 1}
        assert await standing(m, workflow.id) == {"each": "failed", "after": "skipped"}

    async def test_each_item_may_be_a_workflow_of_its_own(self, m: Mycelium) -> None:
        inner = {
            "type": "one",
            "tasks": ["p", {"name": "q", "payload": {"item": {"$from": "workflow.metadata.item"}}}],
        }
        each = {"name": "each", "for_each": ["x", "y"], "workflow": inner, "payload": {"item": {"$from": "item"}}}
        workflow = await m.create_workflow("w", [each])
        assert sorted(await work_off(m, lambda task: dict(task.payload))) == [
            "each.0.p", "each.0.q", "each.1.p", "each.1.q",
        ]  # fmt: skip
        found = await m.get_task(workflow.tasks[0])
        assert found.result == {"items": [{"q": {"item": "x"}}, {"q": {"item": "y"}}], "count": 2, "failed": 0}

    async def test_the_items_have_what_their_task_was_declared_with(self, m: Mycelium) -> None:
        await m.store_agent_status(capabilities=["gpu"])
        each = {
            "name": "each", "for_each": [1], "priority": "high", "queue": "q", "capabilities": ["gpu"],
            "timeout_seconds": 30.0, "title": "Look", "approval": "All of them?",
        }  # fmt: skip
        workflow = await m.create_workflow("w", [each])
        assert await m.claim_task() is None
        await m.approve_task(workflow.tasks[0], by="eve")
        task = await claimed(m)
        assert (task.type, task.priority, task.queue, task.capabilities) == ("each", "high", "q", ("gpu",))
        assert (task.timeout_seconds, task.title, task.approval) == (30.0, "Look", None)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"for_each": [*range(10_001)]}, "invalid_input"),
            ({"for_each": ["x" * 2000] * 1000}, "too_large"),
            ({"for_each": 5}, "invalid_input"),
            ({"for_each": {"a": 1}}, "invalid_input"),
            ({"for_each": "zz.result"}, "unknown_reference"),
            ({"workflow": {"type": "w"}, "max_attempts": 2}, "invalid_input"),
        ],
    )
    async def test_a_wrong_list_is_refused(self, m: Mycelium, fields: dict[str, Any], code: str) -> None:
        async with refuses(m, code):
            await m.create_workflow("w", [{"name": "each", **fields}])

    async def test_a_list_that_is_too_long_fails_its_task_and_says_what_to_do(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("scan", SPREAD)
        await claimed(m)
        files: Any = [0] * 10_001
        await m.complete_task(workflow.tasks[0], {"files": files})
        review = await m.get_task(workflow.tasks[1])
        assert review.status == "failed"
        assert "10001 things, the limit is 10000: work on them in groups" in str(review.error)
        assert await outcome(m, workflow.id) == "failed"

    @pytest.mark.parametrize(
        "names",
        [("each", "each.0"), ("each", "each.0.x"), ("each", "each.undo")],
    )
    async def test_names_that_the_items_need_are_refused(self, m: Mycelium, names: tuple[str, str]) -> None:
        each = {"name": names[0], "for_each": [1], "undo": "u"}
        async with refuses(m, "invalid_input"):
            await m.create_workflow("w", [each, names[1]])
