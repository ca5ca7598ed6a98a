"""Values of earlier results: references to them, and conditions that choose what runs."""

from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import fails_at, outcome, standing, work_off
from tests.support.store import claimed, done, refuses

BRANCHES: list[Any] = [
    "measure",
    {"name": "large", "condition": {"path": "measure.result.n", "op": ">", "value": 3}},
    {"name": "small", "condition": {"path": "measure.result.n", "op": "<=", "value": 3}},
    {"name": "end", "depends_on": ["large", "small"], "run_when": "all_done"},
]


class BranchingContract(Contract):
    async def test_results_come_into_later_payloads(self, m: Mycelium) -> None:
        workflow = await m.create_workflow(
            "w",
            [
                "survey",
                {
                    "name": "report",
                    "payload": {
                        "first": {"$from": "survey.result.files.0"},
                        "all": [{"$from": "survey.result.files"}],
                        "goal": {"$from": "workflow.metadata.goal"},
                        "none": {"$from": "survey.result.nothing", "default": 7},
                        "kept": "{survey.result.files}",
                    },
                },
            ],
            metadata={"goal": 0.95},
        )
        await claimed(m)
        await m.complete_task(workflow.tasks[0], {"files": ["a", "b"]})
        task = await claimed(m)
        assert task.payload == {
            "first": "a", "all": [["a", "b"]], "goal": 0.95, "none": 7, "kept": "{survey.result.files}",
        }  # fmt: skip
        assert task.depends_on == (workflow.tasks[0],)

    async def test_what_an_agent_says_is_never_taken_for_a_reference(self, m: Mycelium) -> None:
        trap: Any = {"$from": "workflow.metadata.secret"}
        workflow = await m.create_workflow(
            "w",
            [
                "survey",
                {"name": "once", "payload": {"got": {"$from": "survey.result"}}},
                {"name": "each", "for_each": "survey.result.list", "payload": {"got": {"$from": "item"}}},
            ],
            metadata={"secret": 1},
            mode="dag",
        )
        await claimed(m)
        await m.complete_task(workflow.tasks[0], {"list": [trap, [trap]]})
        seen = [(await claimed(m)).payload for _ in range(3)]
        assert {"got": {"list": [trap, [trap]]}} in seen
        assert {"got": trap} in seen
        assert {"got": [trap]} in seen

    @pytest.mark.parametrize(("n", "skipped"), [(5, "small"), (3, "large")])
    async def test_conditions_choose_a_branch(self, m: Mycelium, n: int, skipped: str) -> None:
        workflow = await m.create_workflow("w", BRANCHES, mode="dag")
        order = await work_off(m, lambda _: {"n": n})
        assert len(order) == 3
        assert (await standing(m, workflow.id))[skipped] == "skipped"
        assert await outcome(m, workflow.id) == "completed"

    async def test_what_cannot_run_is_skipped_all_the_way_down(self, m: Mycelium) -> None:
        never = {"path": "a.result.n", "op": "==", "value": 1}
        workflow = await m.create_workflow(
            "w", ["a", {"name": "b", "condition": never}, "c", {"name": "d", "for_each": [1, 2]}, "e"]
        )
        assert await work_off(m, lambda _: {"n": True}) == ["a"]
        assert [*(await standing(m, workflow.id)).values()] == ["completed", *["skipped"] * 4]
        assert await outcome(m, workflow.id) == "completed"

    async def test_a_fallback_runs_where_the_first_way_fails(self, m: Mycelium) -> None:
        workflow = await m.create_workflow(
            "w",
            [
                "fast",
                {"name": "slow", "depends_on": ["fast"], "run_when": "any_failed"},
                {"name": "end", "depends_on": ["fast", "slow"], "run_when": "all_done"},
            ],
        )
        assert await work_off(m, fails_at("fast")) == ["fast", "slow", "end"]
        assert await standing(m, workflow.id) == {"fast": "failed", "slow": "completed", "end": "completed"}

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ({"path": "a.result.n", "value": 3}, True),
            ({"path": "a.result.n", "op": "!=", "value": 3}, False),
            ({"path": "a.result.yes", "value": 1}, False),
            ({"path": "a.result.word", "op": "<", "value": "b"}, True),
            ({"path": "a.result.n", "op": "in", "value": [1, 3]}, True),
            ({"path": "a.result.list", "op": "contains", "value": 2}, True),
            ({"path": "a.result.word", "op": "contains", "value": "p"}, True),
            ({"path": "a.result.gone", "op": "exists", "value": False}, True),
            ({"path": "a.status", "value": "completed"}, True),
            ({"all": [{"path": "a.result.n", "value": 3}, {"path": "a.result.n", "value": 4}]}, False),
            ({"any": [{"path": "a.result.n", "value": 3}, {"path": "a.result.gone", "value": 4}]}, True),
            ({"none": [{"path": "a.result.n", "value": 4}]}, True),
        ],
    )
    async def test_a_condition_is_a_plain_question(self, m: Mycelium, condition: Any, holds: bool) -> None:
        workflow = await m.create_workflow("w", ["a", {"name": "b", "condition": condition}])
        await claimed(m)
        await m.complete_task(workflow.tasks[0], {"n": 3, "yes": True, "word": "apple", "list": [1, 2]})
        assert (await m.get_task(workflow.tasks[1])).status == ("pending" if holds else "skipped")

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"payload": {"x": {"$from": "a.result.nope"}}}, "has no 'nope'; it has list, n"),
            ({"payload": {"x": {"$from": "a.result.n.deeper"}}}, "is a number, so it has no 'deeper'"),
            ({"payload": {"x": {"$from": "a.result.list.5"}}}, "is a list of 2"),
            ({"payload": {"x": {"$from": "a.result.list.0000000001"}}}, "is a list of 2"),
            ({"condition": {"path": "a.result.list", "op": ">", "value": 3}}, "is a list, which '>' cannot compare"),
            ({"condition": {"path": "a.result.n", "op": ">", "value": "3"}}, "is a number, which '>' cannot compare"),
            ({"condition": {"path": "a.result.n", "op": "contains", "value": 3}}, "cannot contain 3"),
            ({"for_each": "a.result.n"}, "for_each needs a list"),
            ({"for_each": "a.result.gone"}, "has no 'gone'"),
        ],
    )
    async def test_a_value_of_another_shape_fails_the_task_that_wants_it_and_says_why(
        self, m: Mycelium, fields: dict[str, Any], says: str
    ) -> None:
        workflow = await m.create_workflow("w", ["a", {"name": "b", **fields}, "c"])
        await claimed(m)
        await m.complete_task(workflow.tasks[0], {"n": 3, "list": [1, 2]})
        task = await m.get_task(workflow.tasks[1])
        assert task.status == "failed"
        assert task.error is not None
        assert task.error["code"] == "unresolved_reference"
        assert says in str(task.error["error"])
        assert await standing(m, workflow.id) == {"a": "completed", "b": "failed", "c": "skipped"}
        assert await outcome(m, workflow.id) == "failed"

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"payload": {"x": {"$from": "zz.result"}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": "a"}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": "a.payload.y"}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": 5}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": True}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": ""}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": {"a": 1}}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": "item"}}}, "unknown_reference"),
            ({"payload": {"x": {"$from": "b.result.x"}}}, "dependency_cycle"),
            ({"condition": {"path": "zz.result.n", "value": 1}}, "unknown_reference"),
            ({"condition": {"path": "a.result.n", "op": ">", "value": [1]}}, "invalid_input"),
            ({"condition": {"path": "a.result.n", "op": "in", "value": 1}}, "invalid_input"),
            ({"condition": {"path": "a.result.n", "op": "exists", "value": 1}}, "invalid_input"),
            ({"condition": {"path": "a.result.n", "op": "~", "value": 1}}, "invalid_input"),
            ({"condition": {"all": []}}, "invalid_input"),
            ({"condition": {"path": "a.result.n", "all": [{"path": "a.status"}]}}, "invalid_input"),
            ({"condition": {}}, "invalid_input"),
            ({"condition": "a.result.n > 3"}, "invalid_input"),
            ({"undo": {"type": "x", "condition": {"path": "zz.status", "value": 1}}}, "unknown_reference"),
        ],
    )
    async def test_wrong_references_and_conditions_are_refused_at_once(
        self, m: Mycelium, fields: dict[str, Any], code: str
    ) -> None:
        async with refuses(m, code):
            await m.create_workflow("w", ["a", {"name": "b", **fields}])

    async def test_a_task_alone_may_refer_to_what_it_depends_on(self, m: Mycelium) -> None:
        first = await m.create_task("a")
        wanted: dict[str, Any] = {"payload": {"x": {"$from": f"{first.id}.result.x"}}, "idempotency_key": "k"}
        second = await m.create_task("b", depends_on=[first.id], **wanted)
        assert (await m.create_task("b", depends_on=[first.id], **wanted)).id == second.id
        async with refuses(m, "unknown_reference"):
            await m.create_task("c", payload={"x": {"$from": f"{first.id}.result.x"}})
        await claimed(m, first.id)
        await m.complete_task(first.id, {"x": 4})
        assert (await m.get_task(second.id)).payload == {"x": 4}
        assert (await m.create_task("b", depends_on=[first.id], **wanted)).id == second.id

    async def test_a_task_whose_condition_is_answered_at_once_never_waits(self, m: Mycelium) -> None:
        first = await m.create_task("a")
        await done(m, first.id)
        never = {"path": f"{first.id}.status", "value": "failed"}
        assert (await m.create_task("b", depends_on=[first.id], condition=never)).status == "skipped"
