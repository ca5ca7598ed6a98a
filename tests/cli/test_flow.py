"""Workflows, triggers, approvals and waiting at the command line."""

import getpass
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mycelium import Mycelium
from mycelium.errors import NotFound
from mycelium.models import Task, Workflow
from mycelium_server.cli.run import DEADLINE, REFUSED, USAGE
from mycelium_server.cli.waiting import wait_for_work
from tests.cli.conftest import Command
from tests.cli.test_terminal import read_until

SPEC = {"type": "release", "tasks": ["build", {"name": "deploy", "approval": "Deploy now?"}], "on_failure": "stop"}


def file_of(content: object) -> str:
    file = Path.cwd() / "said.json"
    file.write_text(json.dumps(content))
    return str(file)


async def finish(m: Mycelium) -> None:
    while task := await m.claim_task():
        await m.complete_task(task.id, {"n": 1})


def test_a_workflow_is_created_from_a_file_and_waits_for_a_person(mycelium: Command) -> None:
    workflow_id = mycelium.succeed("workflow", "create", file_of(SPEC)).out.strip()
    assert mycelium.succeed("approvals").out == ""
    mycelium.with_store(finish)
    (row,) = mycelium.succeed("approvals").rows
    assert row == [f"{workflow_id}.deploy", "Deploy now?", "deploy", "", workflow_id]
    shown = mycelium.succeed("workflow", workflow_id).rows
    assert shown[2][1:3] + shown[2][7:] == ["pending", "deploy", "waits for a person: Deploy now?"]
    assert dict(mycelium.succeed("task", row[0]).rows)["approval"] == "Deploy now? (not answered yet)"
    assert mycelium.succeed("approve", row[0], "--note", "go on").out == f"{row[0]} is approved.\n"
    approved = mycelium.succeed("task", row[0], "--json").data["approved"]
    assert (approved["by"], approved["note"]) == (getpass.getuser(), "go on")
    assert mycelium.succeed("approvals", "--json").data == {"tasks": []}
    mycelium.with_store(finish)
    assert mycelium.succeed("wait", workflow_id).rows[-1][:2] == [workflow_id, "completed"]


async def fail(m: Mycelium) -> None:
    while task := await m.claim_task():
        await m.fail_task(task.id, 'no "van"')


def test_a_pipe_and_a_diagram_say_why_a_task_failed(mycelium: Command) -> None:
    workflow_id = mycelium.succeed("workflow", "create", file_of({"type": "release", "tasks": ["build"]})).out.strip()
    mycelium.with_store(fail)
    build = mycelium.succeed("workflow", workflow_id).rows[1]
    assert (build[1], build[7]) == ("failed", 'no "van"')
    assert "build<br/>failed<br/>no #quot;van#quot;" in mycelium.succeed("workflow", workflow_id, "--mermaid").out
    assert 'no \\"van\\"' in mycelium.succeed("workflow", workflow_id, "--dot").out


@pytest.mark.parametrize("ways", [("--mermaid", "--dot"), ("--mermaid", "--json"), ("--dot", "--json")])
def test_a_workflow_is_printed_in_one_way(mycelium: Command, ways: tuple[str, str]) -> None:
    assert "Choose one" in mycelium.fail(USAGE, "workflow", "w-1", *ways)


def test_a_no_cancels_the_task_and_names_who_said_it(mycelium: Command) -> None:
    task_id = mycelium.succeed("create", "deploy", "--approval", "Deploy?").out.strip()
    assert mycelium.succeed("reject", task_id, "--by", "grace", "--note", "not yet").out == f"{task_id} is cancelled.\n"
    task = mycelium.succeed("task", task_id, "--json").data
    assert task["error"]["error"] == "rejected by grace: not yet"
    assert mycelium.fail(REFUSED, "approve", task_id).startswith("illegal_transition: ")
    assert mycelium.fail(REFUSED, "approve", "t-gone").startswith("not_found: ")


def test_nobody_is_asked_about_a_task_that_asks_for_nothing(mycelium: Command) -> None:
    task_id = mycelium.succeed("create", "deploy").out.strip()
    assert "does not ask for approval" in mycelium.fail(REFUSED, "approve", task_id)


def test_a_task_says_its_queue_its_needs_and_its_budget(mycelium: Command) -> None:
    task_id = mycelium.succeed(
        "create", "train", "--queue", "gpu", "--capability", "cuda", "--capability", "python", "--budget",
        '{"tokens": 500, "seconds": 60}',
    ).out.strip()  # fmt: skip
    fields = dict(mycelium.succeed("task", task_id).rows)
    assert (fields["queue"], fields["needs"], fields["budget"]) == ("gpu", "cuda, python", "60 seconds, 500 tokens")
    assert mycelium.fail(USAGE, "create", "x", "--budget", "much").startswith("invalid_input: --budget is not JSON")
    assert mycelium.fail(USAGE, "create", "x", "--budget", '{"money": 1}').startswith("invalid_input: ")


def test_a_workflow_is_paused_resumed_cancelled_and_retried(mycelium: Command) -> None:
    workflow_id = mycelium.succeed("workflow", "create", file_of({"type": "w", "tasks": ["a"]})).out.strip()
    for action, status in (("pause", "paused"), ("resume", "running")):
        assert mycelium.succeed("workflow", action, workflow_id).out == f"{workflow_id} is {status}.\n"
    mycelium.succeed("workflow", "pause", workflow_id)
    assert mycelium.succeed("workflow", workflow_id).rows[1][7] == "paused"
    assert dict(mycelium.succeed("task", f"{workflow_id}.a").rows)["paused"]
    data = mycelium.succeed("workflow", "cancel", workflow_id, "--reason", "enough", "--json").data
    assert (data["status"], data["error"]) == ("cancelled", {"error": "enough"})
    assert mycelium.succeed("workflows").rows[0][-1] == "enough"
    assert mycelium.fail(REFUSED, "workflow", "pause", workflow_id).startswith("illegal_transition: ")
    assert mycelium.succeed("workflow", "retry", workflow_id).out == f"{workflow_id} is running.\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["workflow", "explode", "w-1"], "usage: There is no action 'explode'"),
        (["workflow", "pause", "w-1", "w-2"], "usage: Got unexpected extra argument"),
        (["workflow", "pause"], "usage: pause what?"),
        (["workflow", "pause", "w-1", "--reason", "x"], "invalid_input: pause takes no reason"),
        (["workflow", "create", "nowhere.json"], "invalid_input: nowhere.json: No such file"),
        (["trigger", "pause", "tr-1"], "usage: There is no action 'pause'"),
        (["wait"], "usage: Say what to wait for"),
        (["wait", "t-1", "--event", "a:b"], "usage: Say what to wait for"),
        (["wait", "--event", "news"], "usage: --event 'news' is not CHANNEL:TYPE"),
        (["wait", "--event", "no spaces:x"], "invalid_input: "),
    ],
)
def test_what_makes_no_sense_is_refused(mycelium: Command, args: list[str], said: str) -> None:
    mycelium.succeed("create", "x")
    assert mycelium.fail(USAGE, *args).startswith(said)


TASK = {"task": {"type": "t"}}
CIRCLE = [{"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}]


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("workflow", [], "invalid_input: "),
        ("workflow", {"tasks": ["a"]}, "invalid_input: "),
        ("workflow", {"type": "w", "taks": []}, "invalid_input: "),
        ("workflow", {"type": "w", "tasks": CIRCLE}, "dependency_cycle: "),
        ("workflow", {"type": "w", "tasks": [{"name": "a", "for_each": "b.result.x"}]}, "unknown_reference: "),
        ("trigger", {"when": {"event": {}}}, "invalid_input: "),
        ("trigger", {"when": {"schedule": {"cron": "0 0 31 2 *"}}, "then": TASK}, "invalid_schedule: "),
        ("trigger", {"when": {"schedule": {"cron": "x"}}, "then": TASK}, "invalid_schedule: "),
    ],
)  # fmt: skip
def test_a_file_with_something_wrong_creates_nothing(mycelium: Command, kind: str, content: object, said: str) -> None:
    assert mycelium.fail(USAGE, kind, "create", file_of(content)).startswith(said)


def test_a_file_that_is_no_json_is_named(mycelium: Command) -> None:
    Path("said.json").write_text("{")
    assert mycelium.fail(USAGE, "workflow", "create", "said.json").startswith("invalid_input: said.json is not JSON")


def test_a_trigger_from_creation_to_removal(mycelium: Command) -> None:
    said = {"when": {"event": {"channel": "files"}}, "then": {"task": {"type": "scan"}}, "id": "scans"}
    assert mycelium.succeed("trigger", "create", file_of(said)).out == "scans\n"

    async def publish(m: Mycelium) -> None:
        await m.publish_event("files", {"f": 1}, type="added")
        await m.housekeep()

    mycelium.with_store(publish)
    (row,) = mycelium.succeed("triggers").rows
    assert row[:5] == ["scans", "active", '{"event": {"channel": "files"}}', "task scan", "1"]
    assert [task[2] for task in mycelium.succeed("tasks").rows] == ["scan"]
    fields = dict(mycelium.succeed("trigger", "scans").rows)
    assert (fields["fired"], fields["created"].rpartition(" ")[2]) == ("1", "command-line")
    assert dict(mycelium.succeed("stats").rows)["triggers"] == "1 active"
    assert mycelium.succeed("stats", "--json").data["housekeeper"]["fired"] == 1
    assert mycelium.succeed("trigger", "stop", "scans").out == "scans is stopped.\n"
    assert mycelium.succeed("triggers", "--status", "active").out == ""
    assert mycelium.succeed("trigger", "start", "scans", "--json").data["status"] == "active"
    assert mycelium.fail(USAGE, "trigger", "create", file_of({"when": 1, "then": 2})).startswith("invalid_input: ")
    assert mycelium.fail(REFUSED, "trigger", "create", file_of(said)).startswith("conflict: ")
    assert mycelium.succeed("trigger", "remove", "scans").out == "scans is removed.\n"
    assert "`mycelium triggers` shows" in mycelium.fail(REFUSED, "trigger", "scans")


def test_waiting_ends_with_how_it_ended(mycelium: Command) -> None:
    async def make(m: Mycelium) -> tuple[Task, Task, Workflow]:
        good, bad = await m.create_task("good"), await m.create_task("bad")
        await m.claim_task(good.id)
        await m.complete_task(good.id)
        await m.claim_task(bad.id)
        await m.fail_task(bad.id, "out of luck")
        return good, bad, await m.create_workflow("open", ["a"])

    good, bad, workflow = mycelium.with_store(make)
    assert mycelium.succeed("wait", good.id).rows == [[good.id, "completed", "good", "100%", ""]]
    said = mycelium("wait", good.id, bad.id)
    assert (said.code, said.rows[1]) == (REFUSED, [bad.id, "failed", "bad", "0%", "out of luck"])
    said = mycelium("wait", good.id, workflow.id, "--timeout", "0.2")
    assert (said.code, said.err) == (DEADLINE, "Not ended after 0.2 seconds.\n")
    assert {row[0] for row in said.rows} == {good.id, workflow.id}
    data = mycelium("wait", bad.id, "--json")
    assert (data.code, data.data["ended"], data.data["succeeded"]) == (REFUSED, True, False)
    assert data.data["tasks"][0]["error"] == {"error": "out of luck"}
    late = mycelium("wait", workflow.id, "--timeout", "0.1", "--json")
    assert (late.code, late.data["ended"], late.err) == (DEADLINE, False, "")
    assert mycelium("wait", "--event", "news:*", "--timeout", "0.1").code == DEADLINE
    missing = mycelium.fail(REFUSED, "wait", "x-1")
    assert (
        missing == "not_found: No task or workflow 'x-1'. `mycelium tasks` and `mycelium workflows` show what there is."
    )


def run_beside(*args: str, stdout: Any = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "mycelium_server", *args], stdout=stdout, stderr=subprocess.STDOUT)


def test_an_event_ends_a_wait_for_one_like_it(mycelium: Command) -> None:
    mycelium.succeed("create", "x")

    async def publish(m: Mycelium) -> None:
        with anyio.fail_after(60):
            while waiting.poll() is None:
                await m.publish_event("news:daily", {"n": 1}, type="saved")
                await anyio.sleep(0.05)

    with run_beside("wait", "--event", "news:*:saved") as waiting:
        try:
            mycelium.with_store(publish)
            assert waiting.returncode == 0
            assert waiting.stdout
            assert waiting.stdout.read().decode().split("\t")[2:4] == ["news:daily", "saved"]
        finally:
            waiting.kill()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", "100"), ("LINES", "40"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_shows_a_task_until_its_time_is_over(mycelium: Command) -> None:
    task_id = mycelium.succeed("create", "review", "--approval", "Sure?").out.strip()
    mine, its = pty.openpty()
    with run_beside("wait", task_id, "--timeout", "0.5", stdout=its) as waiting:
        os.close(its)
        try:
            seen = read_until(mine, b"Not ended after 0.5 seconds.")
            assert waiting.wait(60) == DEADLINE
            assert task_id.encode() in seen
            assert b"waits for a person: Sure?" in seen
        finally:
            waiting.kill()
            os.close(mine)


async def test_what_goes_wrong_meanwhile_is_told_as_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Mycelium.open(f"markdown://{tmp_path}/files", agent="ada") as m:
        task = await m.create_task("review")

        async def lose_it() -> None:
            while task.id not in capsys.readouterr().out:
                await anyio.lowlevel.checkpoint()
            (file,) = [each for each in (tmp_path / "files").rglob("*.md") if task.id in each.name]
            file.unlink()

        async def wait() -> None:
            with pytest.raises(NotFound, match=task.id):
                await wait_for_work(m, [task.id], seconds=30, as_json=False)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(lose_it)
                group.start_soon(wait)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_shows_the_graph_while_it_runs(mycelium: Command) -> None:
    tasks = ["list", {"name": "each", "for_each": "list.result.items"}]
    workflow_id = mycelium.succeed("workflow", "create", file_of({"type": "w", "tasks": tasks})).out.strip()
    mine, its = pty.openpty()
    with run_beside("wait", workflow_id, stdout=its) as waiting:
        os.close(its)
        try:
            read_until(mine, b"list")

            async def work(m: Mycelium) -> None:
                while task := await m.claim_task():
                    await m.complete_task(task.id, {"items": [1, 2, 3]})

            worker = Thread(target=lambda: mycelium.with_store(work))
            worker.start()
            seen = read_until(mine, b"for each: 3 of 3 done")
            worker.join()
            assert waiting.wait(60) == 0
            assert re.search(rb"running|completed", seen)
        finally:
            waiting.kill()
            os.close(mine)
