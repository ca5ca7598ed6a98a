"""Servers that are reached over HTTP."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from mycelium_worker.servers.pool import open_toolbox
from mycelium_worker.servers.spec import HttpServer
from tests.worker.toolbox.support import PATIENCE, a_port, bad, good, odd_over_http, until, until_there


async def test_tools_are_listed_and_called() -> None:
    async with odd_over_http(a_port()) as server, open_toolbox([server]) as toolbox:
        assert "echo" in {tool.name for tool in await toolbox.tools()}
        assert (await good(toolbox, "echo", text="hello")).text == "hello"
        assert "took longer than 0.3 seconds" in await bad(
            toolbox, "hang", seconds=0.3, started="/dev/null", cancelled="/dev/null"
        )
        assert (await good(toolbox, "echo", text="hello")).text == "hello"


async def test_a_call_that_takes_too_long_is_cancelled_at_the_server(tmp_path: Path) -> None:
    async with odd_over_http(a_port()) as server, open_toolbox([server]) as toolbox:
        await toolbox.tools()
        cancelled = tmp_path / "cancelled"
        await bad(toolbox, "hang", seconds=0.5, started=str(tmp_path / "started"), cancelled=str(cancelled))
        await until_there(cancelled)


async def test_calls_run_side_by_side() -> None:
    async with odd_over_http(a_port()) as server, open_toolbox([server]) as toolbox:
        await toolbox.tools()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: good(toolbox, "meet", mine="a", other="b"))
            tasks.start_soon(lambda: good(toolbox, "meet", mine="b", other="a"))


async def test_tools_that_change_are_listed_anew() -> None:
    async with odd_over_http(a_port()) as server, open_toolbox([server]) as toolbox:
        await toolbox.tools()
        await good(toolbox, "grow")

        async def are_news() -> bool:
            return "shout" in {tool.name for tool in await toolbox.tools()}

        await until(are_news)


async def test_a_server_that_comes_back_has_its_tools_again() -> None:
    port = a_port()
    async with open_toolbox([HttpServer("odd", f"http://127.0.0.1:{port}/mcp")]) as toolbox:
        assert await toolbox.tools() == []
        assert "The server 'odd' cannot be reached: " in await bad(toolbox, "echo")

        async def is_there() -> bool:
            return bool(await toolbox.tools())

        for _ in range(2):
            async with odd_over_http(port):
                await until(is_there)
                assert (await good(toolbox, "echo", text="hello")).text == "hello"
            assert "cannot be reached" in await bad(toolbox, "echo", text="hello")


async def test_a_server_that_dies_while_it_is_called_is_connected_again() -> None:
    port = a_port()
    async with open_toolbox([HttpServer("odd", f"http://127.0.0.1:{port}/mcp")]) as toolbox:
        async with odd_over_http(port):
            await toolbox.tools()
            assert "may have happened" in await bad(toolbox, "die", code=3)
        async with odd_over_http(port):
            with anyio.fail_after(PATIENCE):
                while (await toolbox.call("echo", {"text": "hello"})).is_error:
                    pass


@pytest.mark.parametrize("path", ["/nowhere", ""])
async def test_an_address_that_is_no_mcp_server_is_said(path: str) -> None:
    port = a_port()
    elsewhere = HttpServer("odd", f"http://127.0.0.1:{port}{path}")
    async with odd_over_http(port), open_toolbox([elsewhere]) as toolbox:
        assert await toolbox.tools() == []
        assert "The server 'odd' failed: " in await bad(toolbox, "echo")


async def test_a_flood_is_refused_and_the_server_goes_on() -> None:
    async with odd_over_http(a_port()) as server, open_toolbox([server]) as toolbox:
        pid = (await good(toolbox, "pid")).text
        assert "larger" in await bad(toolbox, "long_reply", size=50_000_000)
        assert (await good(toolbox, "pid")).text == pid
