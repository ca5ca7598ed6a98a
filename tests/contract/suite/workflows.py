"""Workflows: declared at once, run by their tasks, or driven by hand."""

from typing import Any, cast

import pytest

from mycelium import Mycelium
from mycelium.models import Event
from tests.contract.suite.base import Contract
from tests.support.store import claimed, done, failed, log, refuses, status


async def told_of_workflow(m: Mycelium) -> list[Event]:
    return [event for event in await log(m) if event.channel == "workflows:events"]


class WorkflowContract(Contract):
    async def test_names_alone_make_a_sequence(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("training", ["prepare", "train", "evaluate"], metadata={"goal": 0.95})
        assert (workflow.mode, workflow.status, workflow.metadata) == ("sequential", "running", {"goal": 0.95})
        assert workflow.tasks == tuple(f"{workflow.id}.{name}" for name in ("prepare", "train", "evaluate"))
        for key in workflow.tasks:
            ready = (await m.list_tasks(ready=True)).records
            assert [task.id for task in ready] == [key]
            assert (ready[0].type, ready[0].workflow_id, ready[0].created_by) == (key.split(".")[1], workflow.id, "ada")
            await done(m, key)
        found = await m.get_workflow(workflow.id)
        assert (found.status, found.progress, found.current_task) == ("completed", 1.0, None)
        assert [event.type for event in await told_of_workflow(m)] == ["workflow.created", "workflow.completed"]

    async def test_parallel_tasks_are_ready_at_once_in_their_order(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("build", ["c", "a", "b"], mode="parallel")
        assert [(await claimed(m)).id for _ in range(3)] == list(workflow.tasks)

    async def test_a_dag_follows_its_dependencies_also_to_tasks_outside(self, m: Mycelium) -> None:
        outside = await m.create_task("outside")
        workflow = await m.create_workflow(
            "build",
            [
                {"name": "join", "depends_on": ["left", "right"], "type": "merge", "priority": "high"},
                {"name": "left", "depends_on": [outside.id]},
                {"name": "right", "payload": {"n": 1}},
            ],
        )
        join, left, right = workflow.tasks
        assert workflow.mode == "dag"
        assert (await m.get_task(join)).depends_on == (left, right)
        assert (await m.get_task(join)).type == "merge"
        assert [await status(m, key) for key in (join, left, right)] == ["blocked", "blocked", "ready"]
        await done(m, outside.id)
        await done(m, left)
        await done(m, right)
        assert await status(m, join) == "ready"

    async def test_progress_follows_the_tasks(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c", "d"], mode="parallel")
        assert (await m.get_workflow(workflow.id)).progress == 0
        await done(m, workflow.tasks[0])
        await claimed(m, workflow.tasks[1])
        await m.update_task(workflow.tasks[1], progress=0.5)
        found = await m.get_workflow(workflow.id)
        assert (found.progress, found.current_task) == (0.375, workflow.tasks[1])
        assert (await m.list_workflows()).records == [found]

    @pytest.mark.parametrize(
        ("outcomes", "expected"),
        [
            ("ddd", "completed"),
            ("dfd", "failed"),
            ("dcd", "cancelled"),
            ("cfd", "failed"),
            ("ccc", "cancelled"),
            ("fff", "failed"),
        ],
    )
    async def test_the_outcome_of_a_workflow_is_that_of_its_tasks(
        self, m: Mycelium, outcomes: str, expected: str
    ) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c"], mode="parallel")
        for key, outcome in zip(workflow.tasks, outcomes, strict=True):
            assert (await m.get_workflow(workflow.id)).status == "running"
            await {"d": done, "f": failed, "c": Mycelium.cancel_task}[outcome](m, key)
        assert (await m.get_workflow(workflow.id)).status == expected
        assert [event.type for event in await told_of_workflow(m)] == ["workflow.created", f"workflow.{expected}"]

    async def test_a_failure_in_a_sequence_skips_the_rest_and_fails_the_workflow(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c"])
        await failed(m, workflow.tasks[0])
        assert [await status(m, key) for key in workflow.tasks] == ["failed", "skipped", "skipped"]
        assert (await m.get_workflow(workflow.id)).status == "failed"

    async def test_a_task_for_failures_runs_after_one(self, m: Mycelium) -> None:
        workflow = await m.create_workflow(
            "w", ["a", {"name": "mend", "depends_on": ["a"], "run_when": "any_failed"}], mode="dag"
        )
        await failed(m, workflow.tasks[0])
        assert await status(m, workflow.tasks[1]) == "ready"
        assert (await m.get_workflow(workflow.id)).status == "running"
        await done(m, workflow.tasks[1])
        assert (await m.get_workflow(workflow.id)).status == "failed"

    async def test_a_task_that_waits_on_a_whole_workflow_runs_after_it(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b"])
        after = await m.create_task("after", depends_on=workflow.tasks)
        await done(m, workflow.tasks[0])
        await done(m, workflow.tasks[1])
        assert await status(m, after.id) == "ready"

    async def test_a_workflow_with_one_task_skipped_at_once_still_runs(self, m: Mycelium) -> None:
        outside = await m.create_task("outside")
        await m.cancel_task(outside.id)
        workflow = await m.create_workflow(
            "w", [{"name": "a", "depends_on": [outside.id]}, {"name": "b", "depends_on": ["a"]}, {"name": "c"}]
        )
        assert [await status(m, key) for key in workflow.tasks] == ["skipped", "skipped", "ready"]
        assert (await m.get_workflow(workflow.id)).status == "running"
        await done(m, workflow.tasks[2])
        assert (await m.get_workflow(workflow.id)).status == "completed"

    async def test_a_workflow_whose_tasks_are_all_skipped_at_once_is_over(self, m: Mycelium) -> None:
        outside = await m.create_task("outside")
        await m.cancel_task(outside.id)
        workflow = await m.create_workflow("w", [{"name": "a", "depends_on": [outside.id]}, "b"], mode="sequential")
        assert [await status(m, key) for key in workflow.tasks] == ["skipped", "skipped"]
        assert (await m.get_workflow(workflow.id)).status == "completed"
        assert [event.type for event in await told_of_workflow(m)] == ["workflow.created", "workflow.completed"]

    async def test_a_workflow_without_tasks_is_driven_by_hand(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("by hand")
        updated = await m.update_workflow(workflow.id, progress=0.75, current_task="evaluate")
        assert (updated.progress, updated.current_task) == (0.75, "evaluate")
        assert (await m.update_workflow(workflow.id, progress=0.8)).current_task == "evaluate"
        finished = await m.complete_workflow(workflow.id, {"accuracy": 0.96})
        assert (finished.status, finished.progress, finished.result) == ("completed", 1.0, {"accuracy": 0.96})
        assert await m.get_workflow(workflow.id) == finished
        types = [event.type for event in await told_of_workflow(m)]
        assert types == ["workflow.created", "workflow.progress", "workflow.progress", "workflow.completed"]

    async def test_a_workflow_that_is_ended_by_hand_cancels_what_is_open(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", "b", "c"])
        after = await m.create_task("x", depends_on=[workflow.tasks[2]])
        await done(m, workflow.tasks[0])
        held = await claimed(m, workflow.tasks[1])
        assert (await m.fail_workflow(workflow.id, "no more money")).error == {"error": "no more money"}
        assert [await status(m, key) for key in workflow.tasks] == ["completed", "cancelled", "cancelled"]
        assert await status(m, after.id) == "skipped"
        async with refuses(m, "stale_lease"):
            await m.complete_task(held.id, lease_token=held.token)
        assert [event.type for event in await told_of_workflow(m)] == ["workflow.created", "workflow.failed"]

    async def test_a_finished_workflow_takes_no_more_changes(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("by hand")
        await m.complete_workflow(workflow.id)
        for change in (
            lambda: m.update_workflow(workflow.id, progress=0.5),
            lambda: m.complete_workflow(workflow.id),
            lambda: m.fail_workflow(workflow.id, "x"),
        ):
            async with refuses(m, "illegal_transition"):
                await change()

    async def test_workflows_are_listed_newest_first(self, m: Mycelium) -> None:
        made = [await m.create_workflow("w", ["a"]) for _ in range(3)]
        await done(m, made[1].tasks[0])
        assert [each.id for each in (await m.list_workflows()).records] == [each.id for each in made[::-1]]
        assert [each.id for each in (await m.list_workflows(status="completed")).records] == [made[1].id]
        assert [each.id for each in (await m.list_workflows(status="running")).records] == [made[2].id, made[0].id]

    @pytest.mark.parametrize(
        ("tasks", "mode", "code"),
        [
            ([{"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}], None, "dependency_cycle"),
            ([{"name": "a", "depends_on": ["a"]}], None, "dependency_cycle"),
            ([{"name": "a", "depends_on": ["b"]}, "b"], "sequential", "dependency_cycle"),
            ([{"name": "a", "depends_on": ["t-1"]}], None, "unknown_dependency"),
            (["a", "b", "a"], None, "invalid_input"),
            (["a", {"name": "b", "idempotency_key": "k"}, {"name": "c", "idempotency_key": "k"}], None, "conflict"),
            ([{"name": "a", "payload": {"x": float("nan")}}], None, "invalid_input"),
            ([{"name": "a", "nam": "b"}], None, "invalid_input"),
            ([{"type": "a"}], None, "invalid_input"),
            (["a/b"], None, "invalid_id"),
            (["../a"], None, "invalid_id"),
            (["a" * 128], None, "invalid_id"),
            ([5], None, "invalid_input"),
            ([None], None, "invalid_input"),
            ("abc", None, "invalid_input"),
            (5, None, "invalid_input"),
            (["a"], "spiral", "invalid_input"),
            ([f"t{n}" for n in range(10_001)], None, "invalid_input"),
            (["a"] * 10_000, None, "invalid_input"),
            (["a", {"name": "b", "depends_on": [f"t{n}" for n in range(10_000)]}], "sequential", "invalid_input"),
        ],
    )
    async def test_a_wrong_workflow_is_refused_whole(self, m: Mycelium, tasks: Any, mode: Any, code: str) -> None:
        async with refuses(m, code):
            await m.create_workflow("w", tasks, mode=mode)

    async def test_a_workflow_may_have_ten_thousand_tasks_and_no_more(self, m: Mycelium) -> None:
        async with refuses(m, "invalid_input") as caught:
            await m.create_workflow("w", [f"t{n}" for n in range(10_001)])
        assert caught.value.data["fields"] == ["tasks"]
        assert "10000" in str(caught.value)
        workflow = await m.create_workflow(
            "w", [{"name": f"t{n}", "idempotency_key": f"k{n}"} for n in range(10_000)], mode="parallel"
        )
        assert len(workflow.tasks) == 10_000

    async def test_a_long_cycle_makes_a_short_error(self, m: Mycelium) -> None:
        async with refuses(m, "dependency_cycle"):
            await m.create_workflow("w", [{"name": f"t{n}", "depends_on": [f"t{(n + 1) % 500}"]} for n in range(500)])

    async def test_a_cycle_is_named(self, m: Mycelium) -> None:
        async with refuses(m, "dependency_cycle") as caught:
            await m.create_workflow(
                "w",
                [
                    "start",
                    {"name": "a", "depends_on": ["start", "c"]},
                    {"name": "b", "depends_on": ["a"]},
                    {"name": "c", "depends_on": ["b"]},
                ],
                mode="dag",
            )
        cycle = cast("list[str]", caught.value.data["cycle"])
        assert cycle[0] == cycle[-1]
        assert set(cycle) == {"a", "b", "c"}

    async def test_a_key_that_made_a_task_makes_no_other_in_a_workflow(self, m: Mycelium) -> None:
        task = await m.create_task("x", idempotency_key="k")
        async with refuses(m, "conflict") as caught:
            await m.create_workflow("w", ["a", {"name": "b", "idempotency_key": "k"}])
        assert caught.value.data["task_id"] == task.id
