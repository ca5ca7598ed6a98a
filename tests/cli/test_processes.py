"""The command as people and scripts run it: on a terminal, in pipes, interrupted."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import anyio
import pytest

from mycelium import Mycelium
from mycelium.models import Workflow
from tests.demo.terminal import run_on_terminal

PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""
MYCELIUM = [sys.executable, "-m", "mycelium_server"]
BOXES = "┃│━─├└┌╭"


@pytest.fixture
def env(tmp_path: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYCELIUM_", "NO_COLOR"))}
    return {**kept, "MYCELIUM_BACKEND": f"sqlite:///{tmp_path}/team.db"}


async def fill(env: Mapping[str, str]) -> Workflow:
    """A workflow of a task that is running and one that waits for it."""
    async with Mycelium.open(env["MYCELIUM_BACKEND"], agent="ada", background=False) as m:
        steps = [{"name": "list", "title": "\x1b[2Jwipe"}, {"name": "measure", "depends_on": ["list"]}]
        return await m.create_workflow("survey", steps)


async def on_terminal(env: Mapping[str, str], *args: str) -> tuple[int, str]:
    with anyio.fail_after(PATIENCE):
        return await run_on_terminal([*MYCELIUM, *args], env, columns=120, lines=40)


@pytest.mark.parametrize("command", [["tasks"], ["workflow"], ["doctor"]])
async def test_people_get_boxes_and_colour(env: Mapping[str, str], command: list[str]) -> None:
    workflow = await fill(env)
    code, text = await on_terminal(env, *command, *([workflow.id] if command == ["workflow"] else []))
    assert code == 0
    assert "\x1b[" in text
    assert "\x1b[2J" not in text
    assert any(box in text for box in BOXES)


async def test_no_color_is_respected(env: Mapping[str, str]) -> None:
    await fill(env)
    code, text = await on_terminal({**env, "NO_COLOR": "1"}, "tasks")
    assert code == 0
    assert "\x1b[3" not in text  # bold and dim are no colours
    assert "pending" in text


async def test_json_on_a_terminal_is_only_json(env: Mapping[str, str]) -> None:
    await fill(env)
    code, text = await on_terminal(env, "tasks", "--json")
    assert code == 0
    assert len(json.loads(text)["tasks"]) == 2


async def test_the_doctor_tells_people_how_to_connect(env: Mapping[str, str]) -> None:
    await fill(env)
    _, text = await on_terminal(env, "doctor")
    assert "claude mcp add mycelium -- /" in text
    assert f'"{env["MYCELIUM_BACKEND"]}"' in text


async def publish(env: Mapping[str, str], channel: str) -> None:
    async with Mycelium.open(env["MYCELIUM_BACKEND"], agent="eve", background=False) as m:
        await m.publish_event(channel, {"event": "begun"})


@contextmanager
def following(env: Mapping[str, str], *args: str) -> Generator[subprocess.Popen[str]]:
    command = [*MYCELIUM, "events", "--follow", *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        bound = Timer(PATIENCE, process.kill)
        bound.start()
        try:
            yield process
        finally:
            bound.cancel()
            process.kill()


def first(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def test_followed_events_come_one_json_object_a_line_until_ctrl_c(env: Mapping[str, str]) -> None:
    anyio.run(fill, env)
    with following(env, "--after", "0", "--json") as process:
        assert json.loads(first(process))["seq"] == 1
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [*range(2, 2 + out.count("\n"))]
    assert (process.returncode, err) == (130, "")


def test_following_sees_what_another_process_does(env: Mapping[str, str]) -> None:
    anyio.run(fill, env)
    with following(env, "--after", "0", "--channel", "deploys") as process:
        anyio.run(publish, env, "deploys")
        assert first(process).split("\t")[2:5] == ["deploys", "begun", "eve"]


def test_a_reader_that_leaves_early_is_no_error(env: Mapping[str, str]) -> None:
    anyio.run(fill, env)
    with following(env, "--after", "0") as process:
        first(process)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        anyio.run(publish, env, "deploys")
        assert process.stderr.read() == ""
        process.wait(PATIENCE)
    assert process.returncode == 0


def in_shell(env: Mapping[str, str], command: str) -> tuple[int, str]:
    """The exit code and stderr of a command line with redirections; stderr must not tell of Python's insides."""
    line = f"{shlex.join(MYCELIUM)} {command}"
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


WRITERS = ["tasks", "tasks --json", "config", "doctor", "export", "events --follow --after 0", "--version"]


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize(("to", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_output_that_goes_nowhere_is_told_in_one_line(env: Mapping[str, str], command: str, to: str, why: str) -> None:
    anyio.run(fill, env)
    code, err = in_shell(env, f"{command} {to}")
    assert code == 2
    assert f"stdout: {why}." in err
    assert err.count("\n") == 1


def test_long_output_to_a_full_device_is_told_too(env: Mapping[str, str]) -> None:
    in_shell(env, f"create long --payload '{json.dumps({'text': 'x' * 100_000})}'")
    assert in_shell(env, "export >/dev/full") == (
        2, "invalid_input: stdout: No space left on device. Send the output elsewhere.\n",
    )  # fmt: skip


def test_a_command_that_writes_nothing_needs_no_stdout(env: Mapping[str, str], tmp_path: Path) -> None:
    anyio.run(fill, env)
    assert in_shell(env, f"export {tmp_path}/out.jsonl >&- 2>&-") == (0, "")
    assert (tmp_path / "out.jsonl").read_text().startswith('{"kind": "mycelium"')
    assert in_shell(env, "import <&-")[1].startswith("invalid_input: Nothing to import")


def test_titles_survive_an_old_terminal(env: Mapping[str, str]) -> None:
    anyio.run(fill, env)
    old = {**env, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for args in (["create", "Übersicht"], ["tasks"], ["tasks", "--json"], ["export"]):
        done = subprocess.run([*MYCELIUM, *args], env=old, capture_output=True, timeout=PATIENCE, check=True)
        assert done.stderr == b""
    assert "Übersicht" in done.stdout.decode()
