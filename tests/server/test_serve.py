"""Serving over stdio: real processes, real pipes, signals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from tests.server.raw_client import OPENING, PATIENCE, request
from tests.support.connection import Connection

pytestmark = pytest.mark.anyio

SERVE = ["-m", "mycelium_server", "serve", "--backend"]


@asynccontextmanager
async def client_of(url: str, agent: str = "", mode: str = "auto") -> AsyncGenerator[Connection, None]:
    named = ["--agent", agent] if agent else []
    server = StdioServerParameters(command=sys.executable, args=[*SERVE, url, *named], env=dict(os.environ))
    async with Client(server, mode=mode) as client:
        yield Connection(client)


def start(url: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *SERVE, url, "--agent", "ada"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )


def call(number: int, tool: str, **arguments: object) -> bytes:
    return request(number, "tools/call", {"name": tool, "arguments": arguments})


def answer(stdout: IO[bytes] | None) -> Any:
    assert stdout is not None
    return json.loads(stdout.readline())


def say(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_two_servers_share_one_store(tmp_path: Path, mode: str) -> None:
    url = f"sqlite:///{tmp_path}/team.db"
    async with client_of(url, "ada", mode) as ada, client_of(url, "bob", mode) as bob:
        task_id = (await ada.ask("create_task", type="build", assigned_to="bob"))["task_id"]
        await bob.ask("claim_task")
        done = await bob.ask("complete_task", task_id=task_id, result={"ok": True})
        assert done["task"]["status"] == "completed"
        assert (await ada.ask("get_task", task_id=task_id))["task"]["result"] == {"ok": True}
        assert {agent["name"] for agent in (await ada.ask("list_agents"))["agents"]} == {"ada", "bob"}


async def test_an_event_wakes_a_waiting_call_in_another_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/team.db"
    async with client_of(url, "ada") as ada, client_of(url, "bob") as bob:
        cursor = (await ada.ask("read_events"))["cursor"]
        woken: list[str] = []

        async def wait() -> None:
            read = await ada.ask("read_events", channels=["news"], after=cursor, wait_seconds=15)
            woken.extend(event["type"] for event in read["events"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await ada.ask("get_stats")  # answered after the wait has begun
            assert woken == []
            await bob.ask("publish_event", channel="news", type="hello")
        assert woken == ["hello"]


async def test_a_name_is_made_where_none_is_given() -> None:
    async with client_of("memory:") as one, client_of("memory:") as other:
        names = [(await each.ask("get_agent_status"))["agent"]["name"] for each in (one, other)]
    assert all(name.startswith("agent-") for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize("how", ["eof", "SIGTERM", "SIGINT"])
async def test_at_its_end_leases_are_released_and_the_agent_is_offline(tmp_path: Path, how: str) -> None:
    url = f"sqlite:///{tmp_path}/team.db"
    async with client_of(url, "bob") as bob:
        task_id = (await bob.ask("create_task", type="build"))["task_id"]
        with start(url) as process:
            say(process, OPENING + call(1, "claim_task"))
            answer(process.stdout)
            assert answer(process.stdout)["result"]["structuredContent"]["task"]["id"] == task_id
            say(process, call(2, "read_events", wait_seconds=3600))
            if how == "eof":
                assert process.stdin is not None
                process.stdin.close()
            else:
                process.send_signal(signal.Signals[how])
            assert process.wait(PATIENCE) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
        assert (await bob.ask("get_task", task_id=task_id))["task"]["status"] == "pending"
        assert (await bob.ask("get_agent_status", agent="ada"))["agent"]["status"] == "offline"


async def test_nothing_but_protocol_reaches_stdout(tmp_path: Path) -> None:
    with start(f"sqlite:///{tmp_path}/team.db", MYCELIUM_LOG="debug") as process:
        calls = call(1, "create_task", type="t") + call(2, "get_task", task_id="no/id") + call(3, "nope")
        out, err = process.communicate(OPENING + calls, timeout=PATIENCE)
    messages = [json.loads(line) for line in out.splitlines()]
    assert {message["id"] for message in messages if "id" in message} == {0, 1, 2, 3}
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert b"DEBUG" in err


async def test_a_damaged_store_is_named_in_the_reply_and_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "team.db").write_bytes(b"no database" * 1000)
    with start(f"sqlite:///{tmp_path}/team.db") as process:
        say(process, OPENING + call(1, "create_task", type="t"))
        answer(process.stdout)
        refused = answer(process.stdout)["result"]
        assert refused["isError"]
        assert refused["structuredContent"]["error"]["code"] == "store_damaged"
        say(process, request(2, "tools/list", {}))
        assert len(answer(process.stdout)["result"]["tools"]) == 17
        _, err = process.communicate(timeout=PATIENCE)
    assert err.count(b"\n") == 1
    assert b"the store is not open: " in err
    assert (tmp_path / "team.db").read_bytes() == b"no database" * 1000


async def test_a_name_that_is_none_ends_the_start() -> None:
    with anyio.fail_after(PATIENCE):
        process = await anyio.run_process([sys.executable, *SERVE, "memory:", "--agent", "not/a/name"], check=False)
    assert process.returncode == 2
    assert (process.stdout, b"not/a/name" in process.stderr) == (b"", True)


async def test_an_unknown_log_level_is_said_and_harmless() -> None:
    with start("memory:", MYCELIUM_LOG="loud") as process:
        out, err = process.communicate(OPENING, timeout=PATIENCE)
    assert b'"serverInfo"' in out
    assert b"unknown log level 'loud'" in err
