"""Servers that die, hang, flood or linger."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mycelium_worker.servers import kept, pool
from mycelium_worker.servers.pool import open_toolbox
from mycelium_worker.servers.spec import StdioServer
from tests.worker.toolbox.support import PATIENCE, bad, good, is_alive, odd, raw, until, until_gone, until_there


async def test_a_server_that_dies_is_started_again_and_the_call_says_so() -> None:
    async with open_toolbox([odd()]) as toolbox:
        first = (await good(toolbox, "pid")).text
        said = await bad(toolbox, "die", code=3)
        assert "ended with exit code 3 while this call was under way, and is started again" in said
        assert "may have happened" in said
        assert (await good(toolbox, "pid")).text != first


async def test_a_server_that_is_killed_fails_all_calls_under_way(tmp_path: Path) -> None:
    started = tmp_path / "started"
    async with open_toolbox([odd()]) as toolbox, anyio.create_task_group() as tasks:
        pid = int((await good(toolbox, "pid")).text)
        said: list[str] = []

        async def hang(number: int) -> None:
            said.append(await bad(toolbox, "hang", started=f"{started}{number}", cancelled="/dev/null"))

        for number in range(3):
            tasks.start_soon(hang, number)
        for number in range(3):
            await until_there(Path(f"{started}{number}"))
        os.kill(pid, signal.SIGKILL)

        async def all_said() -> bool:
            return len(said) == 3

        await until(all_said)
        assert all("was killed by SIGKILL while this call was under way" in each for each in said)
        assert (await good(toolbox, "pid")).text != str(pid)


async def test_a_server_that_cannot_start_has_no_tools_and_calls_say_why() -> None:
    servers = [
        StdioServer("absent", "no-such-command"),
        StdioServer("homeless", sys.executable, cwd="/no/such/folder"),
        StdioServer("folder", "/"),
        raw("dies", name="dying"),
        raw(),
    ]
    async with open_toolbox(servers) as toolbox:
        assert [tool.name for tool in await toolbox.tools()] == ["good"]
        said = await bad(toolbox, "echo")
        assert "The server 'absent' cannot be started: there is no command 'no-such-command'." in said
        assert "The server 'homeless' cannot be started: there is no folder '/no/such/folder'." in said
        assert "The server 'folder' cannot be started: '/': Permission denied." in said
        assert "The server 'dying' ended with exit code 7." in said
        assert (await good(toolbox, "good")).text == "done"


async def test_why_a_server_cannot_start_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LONGEST_PAUSE", 0.01)
    caplog.set_level(logging.DEBUG, "mycelium.worker.servers")

    async def tried_often() -> bool:
        return sum("there is no command" in each for each in caplog.messages) >= 3

    async with open_toolbox([StdioServer("absent", "no-such-command")]) as toolbox:
        await toolbox.tools()
        await until(tried_often)
    said = [record.levelname for record in caplog.records if "there is no command" in record.message]
    assert said.count("WARNING") == 1


async def test_a_mute_server_is_given_up_and_does_not_hold_up_the_others() -> None:
    async with open_toolbox([raw("mute", name="mute"), raw()], start_seconds=5) as toolbox:
        assert [tool.name for tool in await toolbox.tools()] == ["good"]
        assert "The server 'mute' did not answer within 5 seconds of its start." in await bad(toolbox, "echo")


async def test_a_mute_server_is_named_and_costs_the_others_little(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "SOON", 1.0)
    async with open_toolbox([raw("mute", name="mute"), raw()], start_seconds=1000) as toolbox:
        with anyio.fail_after(PATIENCE):
            assert (await toolbox.call("good", {})).text
            assert [tool.name for tool in await toolbox.tools(soon=True)] == ["good"]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["server mute has not answered yet: its tools are not waited for any longer"]


async def test_a_slow_server_is_waited_for_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SOON", 0.0)
    async with open_toolbox([raw()]) as toolbox:
        assert [tool.name for tool in await toolbox.tools(soon=True)] == ["good"]


async def test_a_call_waits_for_the_slow_server_that_has_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SOON", 0.0)
    async with open_toolbox([raw(), odd()]) as toolbox:
        assert (await good(toolbox, "pid")).text.isdigit()


async def test_a_call_that_takes_too_long_ends_and_is_cancelled_at_the_server(tmp_path: Path) -> None:
    cancelled = tmp_path / "cancelled"
    async with open_toolbox([odd()]) as toolbox:
        await toolbox.tools()
        said = await bad(toolbox, "hang", seconds=0.5, started=str(tmp_path / "started"), cancelled=str(cancelled))
        assert "took longer than 0.5 seconds" in said
        await until_there(cancelled)


async def test_a_stuck_server_is_started_again_after_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PING_SECONDS", 1.0)
    async with open_toolbox([odd()]) as toolbox:
        await toolbox.tools()
        pid = int((await good(toolbox, "pid")).text)
        said = await bad(toolbox, "freeze", seconds=0.5)
        assert "The server 'odd' does not answer at all any more, and is started again." in said
        await until_gone(pid)
        with anyio.fail_after(PATIENCE):
            reply = await toolbox.call("pid", {}, seconds=PATIENCE)
        assert not reply.is_error
        assert reply.text != str(pid)


async def test_one_slow_call_among_good_ones_restarts_nothing(tmp_path: Path) -> None:
    async with open_toolbox([odd()]) as toolbox:
        pid = (await good(toolbox, "pid")).text
        for number in range(4):
            started = str(tmp_path / f"{number}")
            await bad(toolbox, "hang", seconds=0.2, started=started, cancelled="/dev/null")
            assert (await good(toolbox, "pid")).text == pid


async def test_a_server_that_floods_is_stopped_and_started_again() -> None:
    async with open_toolbox([odd()]) as toolbox:
        pid = int((await good(toolbox, "pid")).text)
        said = await bad(toolbox, "long_reply", size=100_000_000)
        assert "sent a message of more than 16 MiB and was stopped" in said
        await until_gone(pid)
        assert (await good(toolbox, "pid")).text != str(pid)


FLOODED = """
import resource, anyio
from mycelium_worker.servers import kept
from mycelium_worker.servers.pool import open_toolbox
from tests.worker.toolbox.support import odd

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main():
    async with open_toolbox([odd()]) as toolbox:
        await toolbox.call("pid", {})
        before = peak()
        await toolbox.call("long_reply", {"size": 150_000_000})
        await toolbox.call("chatter", {"bytes_to_stderr": 10_000_000})
        print(peak() - before)

anyio.run(main)
"""


async def test_a_flood_does_not_fill_the_workers_memory() -> None:
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process([sys.executable, "-c", FLOODED], stderr=None)
    assert int(done.stdout) < 64  # MiB, for 160 of them


@pytest.mark.parametrize("what", [(), ("asks",), ("changes",)])
async def test_a_reply_behind_a_flood_of_messages_is_heard(what: tuple[str, ...]) -> None:
    async with open_toolbox([raw("floods", *what)]) as toolbox:
        assert (await good(toolbox, "good")).text == "done"


async def test_stderr_is_logged_line_by_line_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mycelium.worker.servers")
    async with open_toolbox([odd()]) as toolbox:
        await good(toolbox, "chatter", bytes_to_stderr=1_000_000)
    assert caplog.messages.count("server odd: a line of words") == 3
    assert max(map(len, caplog.messages)) < 1100


async def test_servers_end_with_the_toolbox_by_themselves_or_by_force() -> None:
    others = set(children())  # the servers that all tests share
    async with open_toolbox([odd(), raw("lingers")]) as toolbox:
        pid = int((await good(toolbox, "pid")).text)
        await good(toolbox, "good")
        before = set(children()) - others
    assert pid in before
    assert not is_alive(pid)
    assert not [each for each in before if is_alive(each)]


def children(pid: int | None = None) -> list[int]:
    """The processes that this one has started and that still run."""
    tasks = Path(f"/proc/{pid or os.getpid()}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


WORKER = """
import anyio
from mycelium_worker.servers import kept
from mycelium_worker.servers.pool import open_toolbox
from tests.worker.toolbox.support import odd

async def main():
    async with open_toolbox([odd()]) as toolbox:
        print((await toolbox.call("pid", {})).text, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def test_a_well_behaved_server_ends_when_its_worker_is_killed() -> None:
    async with await anyio.open_process([sys.executable, "-c", WORKER], stderr=None) as worker:
        assert worker.stdout is not None
        with anyio.fail_after(PATIENCE):
            pid = int(await worker.stdout.receive())
        assert is_alive(pid)
        worker.kill()
    await until_gone(pid)


STUBBORN = """
import anyio, logging
from mycelium_worker.servers.pool import open_toolbox
from tests.worker.toolbox.support import raw

async def main():
    logging.basicConfig(level="INFO")
    async with open_toolbox([raw("stays")]) as toolbox:
        print((await toolbox.call("good", {})).text, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def test_a_server_that_obeys_nobody_ends_after_its_worker_is_killed_and_so_does_its_child() -> None:
    async with await anyio.open_process([sys.executable, "-c", STUBBORN]) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        with anyio.fail_after(PATIENCE):
            await worker.stdout.receive()
            said = b""
            while b"pids" not in said:
                said += await worker.stderr.receive()
        server, child = map(int, said.partition(b"pids ")[2].split()[:2])
        left = [*children(worker.pid), child]
        assert {server, child} < set(left)
        worker.kill()
    for pid in left:
        await until_gone(pid)


async def test_leaving_by_an_error_or_cancelled_leaves_no_server_behind() -> None:
    pids: list[int] = []

    async def fail() -> None:
        async with open_toolbox([odd()]) as toolbox:
            pids.append(int((await good(toolbox, "pid")).text))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    with anyio.CancelScope() as scope:
        async with open_toolbox([odd()]) as toolbox:
            pids.append(int((await good(toolbox, "pid")).text))
            scope.cancel()
            await anyio.sleep_forever()
    assert len(pids) == 2
    assert not any(map(is_alive, pids))
