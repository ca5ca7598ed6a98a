"""Import of Task Master's file: tags, subtasks and everything that waits."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.test_migrate import refusal, tasks_of, written

TASKS: list[dict[str, Any]] = [
    {
        "id": 1, "title": "Choose a database", "description": "For the orders", "status": "done",
        "dependencies": [], "priority": "high", "details": "Compare three", "testStrategy": "A page of reasons",
        "subtasks": [],
    },
    {
        "id": 2, "title": "Write the schema", "description": "", "status": "in-progress", "dependencies": [1],
        "priority": "medium", "complexity": 6, "updatedAt": "2025-08-02T10:00:00.000Z",
        "subtasks": [
            {"id": 1, "title": "Orders", "status": "done", "dependencies": [], "details": "one table"},
            {"id": 2, "title": "Payments", "status": "pending", "dependencies": [1], "details": "another"},
            {"id": 3, "title": "Vouchers", "status": "cancelled", "dependencies": ["2.2"], "details": ""},
        ],
    },
    {"id": 3, "title": "Load the old orders", "status": "pending", "dependencies": [2, "1"], "priority": "low",
     "subtasks": [{"id": 1, "title": "Read the files", "status": "pending", "dependencies": []}]},
    {"id": 4, "title": "Think about shards", "status": "deferred", "dependencies": []},
    {"id": 5, "title": "Sell vouchers", "status": "pending", "dependencies": ["2.3"]},
]  # fmt: skip


def depends(*edges: tuple[int, Sequence[object]]) -> dict[str, Any]:
    """A file of tasks that wait on each other."""
    return {"tasks": [{"id": id, "title": "x", "dependencies": others} for id, others in edges]}


@pytest.mark.parametrize("form", ["tagged", "older"])
def test_a_tag_becomes_a_workflow_of_its_tasks_and_subtasks(mycelium: Command, form: str) -> None:
    about = {"created": "2025-08-01T09:00:00Z", "description": "The shop"}
    content = {"tasks": TASKS, "metadata": about}
    said = mycelium("import", written({"master": content} if form == "tagged" else content))
    assert (said.code, said.err) == (0, "9 tasks taken in from Task Master, in 1 workflow(s)\n")
    tasks = tasks_of(mycelium)
    assert {id: (task.status, task.blocked, task.depends_on) for id, task in tasks.items()} == {
        "1": ("completed", False, ()),
        "2.1": ("completed", False, ("1",)),
        "2.2": ("pending", False, ("2.1", "1")),
        "2.3": ("cancelled", False, ("2.2", "1")),
        "2": ("pending", True, ("1", "2.1", "2.2")),
        "3.1": ("pending", True, ("2", "1")),
        "3": ("pending", True, ("2", "1", "3.1")),
        "4": ("pending", False, ()),
        "5": ("skipped", False, ("2.3",)),
    }
    assert {id: (task.priority, task.note) for id, task in tasks.items() if task.status == "pending"} == {
        "2.2": ("normal", ""),
        "2": ("normal", "in-progress in Task Master"),
        "3.1": ("normal", ""),
        "3": ("low", ""),
        "4": ("low", "deferred in Task Master"),
    }
    assert tasks["1"].payload == {name: value for name, value in TASKS[0].items() if name != "subtasks"}
    assert (tasks["1"].priority, tasks["1"].type, tasks["2.1"].type) == ("high", "task", "subtask")
    assert (tasks["1"].result, tasks["2.3"].error) == ({"status": "done"}, {"status": "cancelled"})
    workflow = mycelium.with_store(lambda m: m.get_workflow("master"))
    assert (workflow.mode, workflow.status, len(workflow.tasks)) == ("dag", "running", 9)
    assert workflow.metadata == {"tag": "master", "metadata": about, "imported_from": "Task Master"}


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("pending", ("pending", "high", "")),
        ("todo", ("pending", "high", "")),
        ("in-progress", ("pending", "high", "in-progress in Task Master")),
        ("review", ("pending", "high", "review in Task Master")),
        ("blocked", ("pending", "low", "blocked in Task Master")),
        ("deferred", ("pending", "low", "deferred in Task Master")),
        ("done", ("completed", "high", "")),
        ("completed", ("completed", "high", "")),
        ("cancelled", ("cancelled", "high", "")),
    ],
)
def test_every_status_has_its_meaning_here(mycelium: Command, status: str, becomes: tuple[str, str, str]) -> None:
    task = {"id": 1, "title": "x", "status": status, "priority": "high"}
    assert mycelium("import", written({"tasks": [task]})).code == 0
    (made,) = tasks_of(mycelium).values()
    assert (made.status, made.priority, made.note) == becomes


def test_each_tag_is_a_workflow_and_equal_ids_get_the_tag_before_them(mycelium: Command) -> None:
    one = {"tasks": [{"id": 1, "title": "a"}, {"id": 2, "title": "b", "dependencies": [1]}]}
    assert mycelium("import", written({"master": one, "search box": one, "version": 2})).code == 0
    tasks = tasks_of(mycelium)
    assert {id: (task.workflow_id, task.depends_on) for id, task in tasks.items()} == {
        "master.1": ("master", ()),
        "master.2": ("master", ("master.1",)),
        "search-box.1": ("search-box", ()),
        "search-box.2": ("search-box", ("search-box.1",)),
    }
    assert mycelium.with_store(lambda m: m.get_workflow("search-box")).metadata["version"] == 2


def test_a_tag_and_an_id_that_come_to_the_same_with_others_stay_apart(mycelium: Command) -> None:
    content = {"a": {"tasks": [{"id": "b.1"}, {"id": 2}]}, "a.b": {"tasks": [{"id": 1}, {"id": 2}]}}
    assert mycelium("import", written(content)).code == 0
    assert {id: (task.workflow_id, task.payload["id"]) for id, task in tasks_of(mycelium).items()} == {
        "a.b.1": ("a", "b.1"), "a.2": ("a", 2), "a.b.1-2": ("a.b", 1), "a.b.2": ("a.b", 2),
    }  # fmt: skip


def test_the_project_folder_is_enough(mycelium: Command) -> None:
    Path("shop/.taskmaster/tasks").mkdir(parents=True)
    written({"master": {"tasks": TASKS}}, "shop/.taskmaster/tasks/tasks.json")
    assert mycelium("import", "shop", "--json").data == {"tasks": 9, "workflows": 1, "from": "Task Master"}


def test_a_part_that_waits_on_its_whole_is_not_waited_for(mycelium: Command) -> None:
    parts = [{"id": 1, "title": "a", "dependencies": ["1"]}, {"id": 2, "title": "b", "dependencies": ["3"]}]
    content = {"tasks": [{"id": 1, "title": "x", "subtasks": parts}, {"id": 3, "title": "y", "dependencies": [1]}]}
    assert mycelium("import", written({"master": content})).code == 2  # 1.1 names its sibling 1, itself
    parts[0]["id"] = 7
    assert mycelium("import", written({"master": content})).code == 0
    tasks = tasks_of(mycelium)
    assert {id: task.depends_on for id, task in tasks.items()} == {"1.7": ("1",), "1.2": ("3",), "1": (), "3": ("1",)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (depends((1, [9])), "task 1 depends on 9, which is not there"),
        (depends((1, ["2.1"]), (2, [])), "task 1 depends on 2.1, which is not there"),
        (depends((1, [1])), "task 1 waits on itself: 1 -> 1"),
        (depends((1, [2]), (2, [3]), (3, [1])), "waits on itself: "),
        ({"a": depends((1, [])), "b": depends((1, [7]))}, "task b.1 depends on 7, which is not there"),
        (depends((1, []), (1, [])), "task 1 at tasks.0 and task 1 at tasks.1 have the same id"),
        (
            {"a": {"tasks": [{"id": 1, "subtasks": [{"id": 1}, {"id": "1"}]}]}},
            "task 1.1 at a.tasks.0.subtasks.0 and task 1.1 at a.tasks.0.subtasks.1 have the same id",
        ),
        ({"tasks": [{"label": "build", "type": "shell"}]}, "tasks.0.id is missing."),
        ({"tasks": [{"id": 7, "status": "bogus"}]}, "task 7: unknown status 'bogus' (known are pending, "),
        (
            {"a": {"tasks": [{"id": 1, "subtasks": [{"id": 4, "status": "Done"}]}]}},
            "task 1.4: unknown status 'Done' (known are pending, todo, in-progress, review, blocked, deferred, done, ",
        ),
        ({"next": {"tasks": [{"title": "x"}]}}, ": next.tasks.0.id is missing."),
        ({"tasks": [{"id": True}]}, "tasks.0.id must be a number or a text."),
        ({"tasks": [{"id": 1.5}]}, "tasks.0.id must be a number or a text."),
        ({"tasks": [{"id": ""}]}, "tasks.0.id must be a number or a text."),
        ({"tasks": [{"id": 1, "subtasks": "none"}]}, "tasks.0.subtasks must be a list."),
        (depends((1, [None])), "tasks.0.dependencies.0 must be a number or a text."),
    ],
)
def test_what_does_not_fit_is_named_by_file_and_task(mycelium: Command, content: Any, says: str) -> None:
    said = refusal(mycelium, written(content))
    assert said.startswith("invalid_input: tasks.json: ")
    assert says in said


def test_a_circle_is_shown_whole(mycelium: Command) -> None:
    said = refusal(mycelium, written(depends((1, [2]), (2, [3]), (3, [1]))))
    shown = said.split("itself: ")[1].split(".")[0].split(" -> ")
    assert shown[0] == shown[-1]
    assert all((before, after) in {("1", "2"), ("2", "3"), ("3", "1")} for before, after in pairwise(shown))


def test_ten_thousand_tasks_are_taken_in_at_once(mycelium: Command) -> None:
    many = depends(*((number, [number - 1] if number % 10 else []) for number in range(10, 10_010)))
    assert mycelium("import", written(many), "--json").data["tasks"] == 10_000
