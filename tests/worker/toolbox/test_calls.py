"""Calling tools of real servers, and what their replies become."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from mycelium_worker.servers.pool import open_toolbox
from mycelium_worker.servers.replies import MOST_TEXT
from mycelium_worker.servers.spec import StdioServer
from mycelium_worker.toolbox import Picture
from tests.worker.toolbox.servers.odd import PIXEL
from tests.worker.toolbox.support import bad, good, odd, raw, until, until_there


async def test_tools_of_several_servers_come_in_one_list() -> None:
    async with open_toolbox([odd(), raw()]) as toolbox:
        tools = {tool.name: tool for tool in await toolbox.tools()}
        assert tools["good"].server == "raw"
        assert (tools["echo"].server, tools["echo"].own_name) == ("odd", "echo")
        assert tools["echo"].description == "Say it again."
        assert tools["echo"].input_schema["type"] == "object"
        assert list(tools) == sorted(tools)
        assert (await good(toolbox, "echo", text="hello")).text == "hello"
        assert (await good(toolbox, "good")).text == "done"


async def test_a_call_needs_no_list_before_it() -> None:
    async with open_toolbox([odd()]) as toolbox:
        assert (await good(toolbox, "echo", text="hello")).text == "hello"


async def test_servers_start_only_when_they_are_needed() -> None:
    async with open_toolbox([StdioServer("never", "no-such-command")]):
        pass  # it would have been logged, and there is nothing to end


async def test_calls_of_one_server_run_side_by_side() -> None:
    said: list[str] = []

    async with open_toolbox([odd()]) as toolbox:

        async def meet(mine: str, other: str) -> None:
            said.append((await good(toolbox, "meet", mine=mine, other=other)).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meet, "a", "b")
            tasks.start_soon(meet, "b", "a")
    assert sorted(said) == ["a met b", "b met a"]


async def test_a_clash_gives_both_tools_their_servers_names() -> None:
    async with open_toolbox([odd("left"), odd("right"), raw()]) as toolbox:
        names = {tool.name for tool in await toolbox.tools()}
        assert {"left__pid", "right__pid", "good"} <= names
        assert "pid" not in names
        left, right = await good(toolbox, "left__pid"), await good(toolbox, "right__pid")
        assert left.text != right.text


async def test_every_kind_of_content_is_read_or_named() -> None:
    async with open_toolbox([odd()]) as toolbox:
        reply = await good(toolbox, "everything")
        assert reply.text.splitlines() == [
            "one",
            "[a picture (image/png), left out]",
            "[a sound (audio/wav), left out]",
            "[a link to notes, file:///notes.txt]",
            "two",
        ]
        assert reply.pictures == [Picture("image/png", PIXEL)]
        assert reply.structured == {"answer": 42}


async def test_structured_content_is_text_where_there_is_no_other() -> None:
    async with open_toolbox([odd()]) as toolbox:
        reply = await good(toolbox, "only_structured")
        assert reply.text == '{"answer":42,"why":null}'
        assert reply.structured == {"answer": 42, "why": None}


async def test_a_long_reply_is_cut_and_says_so() -> None:
    async with open_toolbox([odd()]) as toolbox:
        text = (await good(toolbox, "long_reply", size=MOST_TEXT + 5)).text
        assert text.startswith("x" * MOST_TEXT + "\n[cut here: 5 of ")
        assert len(text) < MOST_TEXT + 100


async def test_children_get_their_own_variables_and_no_secret_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("RABBITMQ_PASSWORD", "secret")
    async with open_toolbox([odd(MINE="yes")]) as toolbox:
        environment = (await good(toolbox, "environment")).structured
    assert isinstance(environment, dict)
    assert environment["MINE"] == "yes"
    assert "secret" not in environment.values()
    assert set(environment) <= {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "MINE", "LC_CTYPE", "PWD"}


async def test_a_child_runs_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text((Path(__file__).parent / "servers" / "raw.py").read_text())
    server = StdioServer("here", raw().command, ("server.py",), cwd=str(tmp_path))
    async with open_toolbox([server]) as toolbox:
        assert (await good(toolbox, "good")).text == "done"


@pytest.mark.parametrize("tool", ["wants_a_person", "needs_consent"])
async def test_a_server_that_asks_a_person_is_told_that_nobody_is_there(tool: str) -> None:
    async with open_toolbox([odd()]) as toolbox:
        assert "Nobody is there to ask" in await bad(toolbox, tool)


async def test_an_unknown_tool_is_answered_with_names_that_come_near() -> None:
    async with open_toolbox([odd()]) as toolbox:
        assert "Did you mean environment?" in await bad(toolbox, "enviroment")
        assert "There are: chatter, " in await bad(toolbox, "zzz")


async def test_a_wrong_argument_is_the_tools_to_refuse() -> None:
    async with open_toolbox([odd()]) as toolbox:
        assert "text" in await bad(toolbox, "echo", txt="hello")
        assert (await good(toolbox, "echo", text="hello")).text == "hello"


async def test_a_cancelled_call_is_cancelled_at_the_server(tmp_path: Path) -> None:
    started, cancelled = tmp_path / "started", tmp_path / "cancelled"
    async with open_toolbox([odd()]) as toolbox, anyio.create_task_group() as tasks:

        async def hang() -> None:
            await toolbox.call("hang", {"started": str(started), "cancelled": str(cancelled)})

        tasks.start_soon(hang)
        await until_there(started)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await until_there(cancelled)


async def test_all_pages_of_a_list_are_read() -> None:
    async with open_toolbox([raw("pages")]) as toolbox:
        assert [tool.name for tool in await toolbox.tools()] == ["first", "second", "third"]


async def test_a_list_without_end_is_cut() -> None:
    async with open_toolbox([raw("endless")]) as toolbox:
        assert len(await toolbox.tools()) == 100


async def test_broken_tools_are_left_out_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async with open_toolbox([raw("broken")]) as toolbox:
        assert [tool.name for tool in await toolbox.tools()] == ["good", "vague"]
        await bad(toolbox, "bad")
        assert (await good(toolbox, "vague")).text == "done"
    for name in ("no-schema", "text", "array", "bad", "7"):
        assert len([each for each in caplog.messages if f"tool {name!r}: " in each]) == 1


async def test_tools_that_change_are_listed_anew() -> None:
    async with open_toolbox([odd()]) as toolbox:
        await toolbox.tools()
        await good(toolbox, "grow")

        async def are_news() -> bool:
            return "shout" in {tool.name for tool in await toolbox.tools()}

        await until(are_news)  # they may come after the reply
        assert "There is no tool 'echo' now" in await bad(toolbox, "echo", text="hello")
        assert (await good(toolbox, "shout", text="hello")).text == "HELLO"


async def test_a_tool_that_vanished_without_a_word_is_noticed_when_it_is_called() -> None:
    async with open_toolbox([odd()]) as toolbox:
        await good(toolbox, "vanish")
        assert "There is no tool 'echo' now" in await bad(toolbox, "echo", text="hello")
        assert "echo" not in {tool.name for tool in await toolbox.tools()}
