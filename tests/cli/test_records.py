"""Tasks, agents, events, workflows and counts, as pipes and programs get them."""

import json
from pathlib import Path

from mycelium import Mycelium
from mycelium.models import Workflow
from tests.cli.conftest import Command


def test_a_created_task_is_listed_and_shown(mycelium: Command) -> None:
    (task_id,) = mycelium.succeed(
        "create",
        "review",
        "--title",
        "Read it",
        "--payload",
        '{"pull": "a  b"}',
        "--priority",
        "high",
        "--agent",
        "ada",
    ).out.split()
    assert mycelium.succeed("tasks").rows == [[task_id, "pending", "review", "Read it", "high", "", ""]]
    fields = dict(mycelium.succeed("task", task_id).rows)
    assert (fields["task"], fields["status"], fields["payload"]) == (task_id, "pending", '{"pull": "a  b"}')
    assert fields["created"].endswith(" by ada")
    task = mycelium.succeed("task", task_id, "--json").data
    assert (task["payload"], task["priority"], task["waiting_on"]) == ({"pull": "a  b"}, "high", [])


def test_a_payload_may_come_from_a_file(mycelium: Command, tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_text('{"from": "a file"}')
    task = mycelium.succeed("create", "review", "--payload", f"@{tmp_path}/payload.json", "--json").data
    assert task["payload"] == {"from": "a file"}


def test_all_that_can_be_said_of_a_task(mycelium: Command) -> None:
    first = mycelium.succeed("create", "one").out.strip()
    task = mycelium.succeed(
        "create", "two", "--depends-on", first, "--run-when", "all_done", "--assigned-to", "grace",
        "--max-attempts", "3", "--retry-backoff", "2.5", "--timeout-seconds", "60", "--idempotency-key", "k",
        "--not-before", "2030-01-31T09:00:00+02:00", "--json",
    ).data  # fmt: skip
    assert (task["depends_on"], task["run_when"], task["assigned_to"]) == ([first], "all_done", "grace")
    assert (task["max_attempts"], task["retry_backoff"], task["timeout_seconds"]) == (3, 2.5, 60)
    assert (task["idempotency_key"], task["not_before"]) == ("k", "2030-01-31T07:00:00Z")
    assert dict(mycelium.succeed("task", task["id"]).rows)["waiting on"] == first


def test_filters_and_pages(mycelium: Command) -> None:
    ids = [mycelium.succeed("create", kind).out.strip() for kind in ("one", "two", "three")]
    mycelium.with_store(lambda m: m.claim_task(ids[0]))
    assert [row[0] for row in mycelium.succeed("tasks", "--ready").rows] == [ids[2], ids[1], ids[0]]
    assert mycelium.succeed("tasks", "--search", "tw").rows[0][0] == ids[1]
    page = mycelium.succeed("tasks", "--limit", "2", "--json").data
    rest = mycelium.succeed("tasks", "--limit", "2", "--cursor", page["cursor"], "--json").data
    assert [task["id"] for task in page["tasks"] + rest["tasks"]] == ids[::-1]
    assert rest["cursor"] is None


def test_a_cancelled_task_says_so(mycelium: Command) -> None:
    task_id = mycelium.succeed("create", "review").out.strip()
    assert mycelium.succeed("cancel", task_id, "--reason", "not now").out == f"{task_id} is cancelled.\n"
    assert mycelium.succeed("tasks", "--status", "cancelled", "--json").data["tasks"][0]["id"] == task_id


def test_agents(mycelium: Command) -> None:
    mycelium.with_store(
        lambda m: m.store_agent_status(status="busy", active_tasks=["x"], capabilities=["review", "go"])
    )
    assert mycelium.succeed("agents").rows[0][:4] == ["ada", "busy", "x", "review, go"]
    assert mycelium.succeed("agents", "--status", "idle").out == ""
    assert mycelium.succeed("agents", "--json").data["agents"][0]["capabilities"] == ["review", "go"]


def test_events_by_number_and_channel(mycelium: Command) -> None:
    mycelium.succeed("create", "review")
    mycelium.with_store(lambda m: m.publish_event("deploys", {"event": "begun", "to": "prod"}))
    assert [row[0] for row in mycelium.succeed("events").rows] == ["1", "2"]
    (row,) = mycelium.succeed("events", "--channel", "deploys").rows
    assert (row[0], *row[2:]) == ("2", "deploys", "begun", "ada", '{"event": "begun", "to": "prod"}')
    read = mycelium.succeed("events", "--after", "1", "--json").data
    assert ([event["seq"] for event in read["events"]], read["cursor"]) == ([2], 2)


def test_a_person_is_told_something(mycelium: Command) -> None:
    task_id = mycelium.succeed("create", "deploy").out.strip()
    words = ("notify", "u-7", "Staging is down.", "--title", "Staging", "--level", "error", "--task", task_id)
    assert mycelium.succeed(*words, "--agent", "ada").out == "Told u-7 in event 2.\n"
    (event,) = mycelium.succeed("events", "--channel", "users:events", "--json").data["events"]
    assert (event["type"], event["source"]) == ("user.notification", "ada")
    assert event["data"] == {
        "task_id": task_id, "task_type": "deploy", "user": "u-7", "message": "Staging is down.", "level": "error",
        "title": "Staging",
    }  # fmt: skip
    told = mycelium.succeed("notify", "u-8", "All is well.", "--json").data
    assert told["data"] == {"user": "u-8", "message": "All is well.", "level": "info"}
    assert "t-none" in mycelium.fail(1, "notify", "u-7", "x", "--task", "t-none")
    assert "--level" in mycelium.fail(2, "notify", "u-7", "x", "--level", "loud")


def test_a_workflow_with_its_tasks(mycelium: Command) -> None:
    async def make(m: Mycelium) -> Workflow:
        steps = [{"name": "list"}, {"name": "measure", "depends_on": ["list"], "title": "Count"}]
        workflow = await m.create_workflow("survey", steps)
        await m.claim_task()
        await m.complete_task(workflow.tasks[0])
        return workflow

    workflow = mycelium.with_store(make)
    head, *tasks = mycelium.succeed("workflow", workflow.id).rows
    assert head == [workflow.id, "running", "survey", "50%"]
    assert [row[:4] for row in tasks] == [
        [f"{workflow.id}.list", "completed", "list", ""],
        [f"{workflow.id}.measure", "pending", "measure", "Count"],
    ]
    assert tasks[1][6] == f"{workflow.id}.list"
    data = mycelium.succeed("workflow", workflow.id, "--json").data
    assert [task["id"] for task in data["members"]] == list(workflow.tasks)
    assert mycelium.succeed("workflows").rows == [[workflow.id, "running", "survey", "dag", "50% of 2 tasks", ""]]


def test_stats(mycelium: Command) -> None:
    mycelium.succeed("create", "review")
    fields = dict(mycelium.succeed("stats").rows)
    assert (fields["store"], fields["tasks"], fields["ready"]) == (mycelium.url, "1 pending", "1")
    assert (fields["mode"], fields["queues"]) == ("sqlite", "1 normal")
    data = mycelium.succeed("stats", "--json").data
    assert (data["tasks"], data["queues"], data["mode"]) == ({"pending": 1}, {"normal": 1}, "sqlite")


def test_what_agents_write_stays_on_its_line_and_obeys_no_terminal(mycelium: Command) -> None:
    mycelium.succeed("create", "review", "--title", "a\tb\nc \x1b[31mred\x1b[0m \x9b2J \u202eflip 表 é 👩‍💻")
    (row,) = mycelium.succeed("tasks").rows
    assert row[3] == "a b c \\x1b[31mred\\x1b[0m \\x9b2J \\u202eflip 表 é 👩‍💻"
    (event,) = mycelium.succeed("events").rows
    assert json.loads(event[5].replace("\\x9b", "?").replace("\\u202e", "?"))["title"].startswith("a\tb\nc")
    assert "\x9b" not in event[5]
