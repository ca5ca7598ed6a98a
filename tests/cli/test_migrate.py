"""Import of what other task servers keep: taskqueue-mcp here, and what holds for all of them."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from mycelium.models import Event, Task
from tests.cli.conftest import Command
from tests.support.store import log

QUEUE: dict[str, Any] = {
    "projects": [
        {
            "projectId": "proj-1",
            "initialPrompt": "Give the shop a search box",
            "projectPlan": "Index first, then the page.",
            "completed": False,
            "autoApprove": True,
            "tasks": [
                {
                    "id": "task-1",
                    "title": "Build the index",
                    "description": "Every product, by name and maker",
                    "status": "done",
                    "approved": True,
                    "completedDetails": "12,000 products in 3 s",
                    "toolRecommendations": "sqlite3 with FTS5",
                },
                {
                    "id": "task-2",
                    "title": "Draw the search box",
                    "description": "On top of each page",
                    "status": "in progress",
                    "approved": False,
                    "completedDetails": "",
                    "ruleRecommendations": "no new libraries",
                },
                {
                    "id": "task-3",
                    "title": "Suggest while typing",
                    "description": "At most five",
                    "status": "not started",
                    "approved": False,
                    "completedDetails": "",
                },
            ],
        },
        {
            "projectId": "proj-2",
            "initialPrompt": "Move the blog",
            "projectPlan": "",
            "completed": True,
            "tasks": [
                {
                    "id": "task-4",
                    "title": "Copy the posts",
                    "description": "",
                    "status": "done",
                    "approved": True,
                    "completedDetails": "all 40",
                }
            ],
        },
    ]
}

WRONG: list[tuple[Any, str]] = [
    ({"projects": [{"projectId": "p", "tasks": [{"title": "no id"}]}]}, "projects.0.tasks.0.id is missing."),
    ({"projects": [{"projectId": "p", "tasks": [{"id": ""}]}]}, "projects.0.tasks.0.id must not be empty."),
    ({"projects": [{"projectId": "p", "tasks": [{"id": 5}]}]}, "projects.0.tasks.0.id must be text."),
    ({"projects": [{"projectId": "p", "tasks": {"id": "t"}}]}, "projects.0.tasks must be a list."),
    ({"projects": [{"projectId": "p", "completed": "half"}]}, "projects.0.completed must be true or false."),
    ({"projects": [{"tasks": []}]}, "projects.0.projectId is missing."),
    ({"projects": ["p"]}, "projects.0 must be an object."),
    (
        {"projects": [{"projectId": "p", "tasks": [{"id": "t"}, {"id": "t"}]}]},
        "task t at projects.0.tasks.0 and task t at projects.0.tasks.1 have the same id",
    ),
    (
        {"projects": [{"projectId": "p", "tasks": [{"id": id}]} for id in "ab"]},
        "group p at projects.0 and group p at projects.1 have the same id",
    ),
    (
        {"projects": [{"projectId": "p", "tasks": [{"id": "t", "status": "bogus"}]}]},
        "task t: unknown status 'bogus' (known are not started, in progress, done).",
    ),
    (
        {"projects": [{"projectId": "p", "tasks": [{"id": "t", "description": "x" * 1024 * 1024}]}]},
        "task t: payload: ",
    ),
]


EMPTY: list[dict[str, Any]] = [
    {"projects": []}, {"projects": [{"projectId": "p", "tasks": []}]}, {"tasks": []}, {"a": {"tasks": []}},
]  # fmt: skip


def written(content: Any, name: str = "tasks.json") -> str:
    """The name of a file here that has this as JSON."""
    Path(name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return name


def tasks_of(mycelium: Command) -> dict[str, Task]:
    """All tasks, by id, the oldest first."""

    async def listed(m: Any) -> list[Task]:
        page = await m.list_tasks(limit=1000)
        return list(page.records)[::-1]

    return {task.id: task for task in mycelium.with_store(listed)}


def refusal(mycelium: Command, *args: str) -> str:
    """What an import says that is refused and leaves no store."""
    said = mycelium.fail(2, "import", *args)
    assert not Path(mycelium.url.removeprefix("sqlite:///")).exists()
    return said


def test_projects_become_workflows_whose_tasks_keep_ids_order_and_everything_said(mycelium: Command) -> None:
    said = mycelium("import", written(QUEUE))
    assert (said.code, said.err) == (0, "4 tasks taken in from taskqueue-mcp, in 2 workflow(s)\n")
    tasks = tasks_of(mycelium)
    assert [(id, task.title, task.status, task.blocked) for id, task in tasks.items()] == [
        ("task-1", "Build the index", "completed", False),
        ("task-2", "Draw the search box", "pending", False),
        ("task-3", "Suggest while typing", "pending", True),
        ("task-4", "Copy the posts", "completed", False),
    ]
    assert [task.payload for task in tasks.values()] == [
        task for project in QUEUE["projects"] for task in project["tasks"]
    ]
    assert tasks["task-1"].result == {"completedDetails": "12,000 products in 3 s", "approved": True}
    assert tasks["task-2"].note == "in progress in taskqueue-mcp"
    assert tasks["task-3"].depends_on == ("task-2",)
    workflow = mycelium.with_store(lambda m: m.get_workflow("proj-1"))
    assert (workflow.mode, workflow.status, workflow.tasks) == ("sequential", "running", ("task-1", "task-2", "task-3"))
    assert workflow.metadata["initialPrompt"] == "Give the shop a search box"
    assert workflow.metadata["imported_from"] == "taskqueue-mcp"
    assert mycelium.with_store(lambda m: m.get_workflow("proj-2")).status == "completed"


def test_the_team_goes_on_with_what_was_taken_in(mycelium: Command) -> None:
    mycelium("import", written(QUEUE))

    async def work(m: Any) -> list[str]:
        done: list[str] = []
        while task := await m.claim_task():
            await m.complete_task(task.id)
            done.append(task.id)
        return done

    assert mycelium.with_store(work) == ["task-2", "task-3"]
    assert mycelium.with_store(lambda m: m.get_workflow("proj-1")).status == "completed"


def test_followers_of_the_log_learn_of_every_task(mycelium: Command) -> None:
    mycelium("import", written(QUEUE))
    events: list[Event] = mycelium.with_store(log)
    assert [(event.type, event.data.get("task_id", event.data["workflow_id"])) for event in events] == [
        ("task.created", "task-1"), ("task.completed", "task-1"), ("task.created", "task-2"),
        ("task.created", "task-3"), ("workflow.created", "proj-1"),
        ("task.created", "task-4"), ("task.completed", "task-4"),
        ("workflow.created", "proj-2"), ("workflow.completed", "proj-2"),
    ]  # fmt: skip
    assert [event.data["task_id"] for event in events if event.data.get("ready")] == ["task-2"]


def test_tasks_join_those_of_a_store_that_is_in_use_but_not_twice(mycelium: Command) -> None:
    mycelium.succeed("create", "ours")
    assert mycelium("import", written(QUEUE), "--json").data == {"tasks": 4, "workflows": 2, "from": "taskqueue-mcp"}
    before = mycelium.succeed("export").out
    assert before.count('"kind":"task"') == 5
    assert mycelium.fail(1, "import", "tasks.json").startswith("conflict: task task-1 exists.")
    assert mycelium.succeed("export").out == before


def test_an_import_that_was_taken_in_moves_on_as_any_store_does(mycelium: Command, tmp_path: Path) -> None:
    mycelium("import", written(QUEUE))
    exported = mycelium.succeed("export").out
    Path("out.jsonl").write_text(exported, encoding="utf-8")
    other = f"sqlite:///{tmp_path}/other.db"
    assert mycelium("import", "out.jsonl", "--backend", other).code == 0
    assert mycelium.succeed("export", "--backend", other).out == exported


def test_content_comes_through_a_pipe_too_with_a_mark_and_blank_lines(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("marked.json").write_bytes(b"\xef\xbb\xbf\n\n" + json.dumps(QUEUE).encode())
    with Path("marked.json").open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        assert mycelium("import").code == 0
    assert len(tasks_of(mycelium)) == 4


def test_ids_that_two_projects_share_get_the_projects_before_them(mycelium: Command) -> None:
    twice = {"projects": [{"projectId": id, "tasks": [{"id": "task-1", "title": id}]} for id in ("a", "b")]}
    assert mycelium("import", written(twice)).code == 0
    assert {id: task.title for id, task in tasks_of(mycelium).items()} == {"a.task-1": "a", "b.task-1": "b"}


def test_ids_that_are_none_here_become_some_and_what_they_were_stays_in_the_payload(mycelium: Command) -> None:
    odd = {"projects": [{"projectId": "Shop & Blog", "tasks": [{"id": "tâche/1", "title": "x" * 600}]}]}
    assert mycelium("import", written(odd)).code == 0
    ((id, task),) = tasks_of(mycelium).items()
    assert (id, task.workflow_id, task.payload["id"]) == ("t-che-1", "Shop-Blog", "tâche/1")
    assert (len(task.title), task.payload["title"]) == (500, "x" * 600)


def test_names_that_differ_only_in_what_no_id_has_stay_apart(mycelium: Command) -> None:
    names = ["x-2", "\u65e5\u672c", "\u4e2d\u56fd", "a/b", "a b", "y" * 130, "y" * 129, "x"]
    tasks = [{"id": name, "title": name} for name in names]
    assert mycelium("import", written({"projects": [{"projectId": "p", "tasks": tasks}]})).code == 0
    ids = {task.payload["id"]: id for id, task in tasks_of(mycelium).items()}
    long = ("y" * 128, "y" * 116 + "-2")
    assert ids == dict(zip(names, ["x-2", "x-3", "x-4", "a-b", "a-b-2", *long, "x"], strict=True))


def test_projects_with_names_that_are_no_ids_stay_apart_with_all_their_tasks(mycelium: Command) -> None:
    projects = [{"projectId": name, "tasks": [{"id": name}]} for name in ("\u65e5\u672c", "\u4e2d\u56fd")]
    assert mycelium("import", written({"projects": projects})).code == 0
    assert {task.workflow_id: task.payload["id"] for task in tasks_of(mycelium).values()} == {
        "x": "\u65e5\u672c", "x-2": "\u4e2d\u56fd",
    }  # fmt: skip


@pytest.mark.parametrize(("content", "says"), WRONG)
def test_what_is_wrong_in_a_file_is_named_with_its_place(mycelium: Command, content: Any, says: str) -> None:
    assert refusal(mycelium, written(content)).startswith(f"invalid_input: tasks.json: {says}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_know_are_refused_not_lost(mycelium: Command, number: str) -> None:
    Path("odd.json").write_text(f'{{"tasks": [{{"id": 1, "effort": {number}}}]}}')
    assert refusal(mycelium, "odd.json").startswith("invalid_input: odd.json: not JSON")


@pytest.mark.parametrize(
    "content", ["{}", "[]", "[1]", "5", '{"tasks": 5}', '{"version": "2.0.0"}', '{\n"projects": {}}', "{", "# Tasks\n"]
)
def test_a_file_of_nobody_is_refused_with_what_would_do(mycelium: Command, content: str) -> None:
    Path("odd").write_text(content, encoding="utf-8")
    said = refusal(mycelium, "odd")
    assert said.startswith("invalid_input: odd: ")
    assert "the tasks.json of taskqueue-mcp or Task Master, or the folder of Backlog.md" in said


@pytest.mark.parametrize("content", EMPTY)
def test_a_file_without_a_task_is_refused(mycelium: Command, content: Any) -> None:
    assert refusal(mycelium, written(content)).startswith("invalid_input: tasks.json: there is no task in it.")


def test_a_folder_without_a_task_is_refused(mycelium: Command) -> None:
    Path("backlog/tasks").mkdir(parents=True)
    Path("backlog/config.yml").write_text("project_name: Shop\n", encoding="utf-8")
    assert refusal(mycelium, "backlog").startswith("invalid_input: backlog: there is no task in it.")


def test_a_project_without_a_task_comes_along_with_others(mycelium: Command) -> None:
    empty: dict[str, Any] = {"projectId": "p", "tasks": []}
    assert mycelium("import", written({"projects": [empty, *QUEUE["projects"]]}), "--json").data["workflows"] == 3


@pytest.mark.parametrize("before", [b"", b"[", b'{"kind":"mycelium","format":1}\n', b"\n" * 9])
def test_content_without_an_end_is_refused(mycelium: Command, tmp_path: Path, before: bytes) -> None:
    endless = tmp_path / "endless"
    endless.write_bytes(before)
    with endless.open("r+b") as file:
        file.truncate(65 * 1024 * 1024)  # a hole, which takes no room on the disk
    assert refusal(mycelium, str(endless)).startswith(f"invalid_input: {endless}: more than 64 MiB")


def test_a_device_without_an_end_is_refused(mycelium: Command) -> None:
    assert refusal(mycelium, "/dev/zero").startswith("invalid_input: /dev/zero: more than 64 MiB")


def test_blank_lines_without_an_end_are_refused(mycelium: Command) -> None:
    Path("blank").write_bytes(b"\n" * 100_000)
    assert refusal(mycelium, "blank").startswith("invalid_input: blank: nothing but blank lines.")


def test_a_pipe_is_read_when_somebody_writes_and_not_waited_for_forever(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text(json.dumps(QUEUE)), daemon=True)
    writer.start()
    assert mycelium("import", "pipe").code == 0
    writer.join(timeout=20)
    monkeypatch.setattr("mycelium_server.cli.sources.WRITER_SECONDS", 0.05)
    assert mycelium.fail(2, "import", "pipe").startswith("invalid_input: pipe: a pipe into which nobody writes.")


def test_a_folder_of_nobody_or_of_two_is_refused(mycelium: Command) -> None:
    Path("empty").mkdir()
    assert "a folder with nothing that an import reads" in refusal(mycelium, "empty")
    Path(".taskmaster/tasks").mkdir(parents=True)
    written({"tasks": [{"id": 1}]}, ".taskmaster/tasks/tasks.json")
    Path("backlog/tasks").mkdir(parents=True)
    Path("backlog/config.yml").write_text("project_name: Shop\n", encoding="utf-8")
    said = refusal(mycelium, ".")
    assert "it has tasks of two programs" in said
    assert f"Name backlog or {Path('.taskmaster/tasks/tasks.json')}." in said
    os.remove("backlog/config.yml")
    os.rmdir("backlog/tasks")
    assert mycelium("import", ".").code == 0
