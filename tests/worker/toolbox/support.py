"""Servers to try the toolbox on."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from mycelium_worker.servers.spec import HttpServer, StdioServer
from mycelium_worker.toolbox import Reply, Toolbox
from tests.support.redis import free_port

PATIENCE = 60.0
"""Seconds: a bound for a broken build."""
SERVERS = Path(__file__).with_name("servers")


def odd(name: str = "odd", **env: str) -> StdioServer:
    return StdioServer(name, sys.executable, (str(SERVERS / "odd.py"),), env)


def raw(*what: str, name: str = "raw") -> StdioServer:
    return StdioServer(name, sys.executable, (str(SERVERS / "raw.py"), *what))


@asynccontextmanager
async def odd_over_http(port: int, *options: str) -> AsyncGenerator[HttpServer]:
    """One that is reached over HTTP, until the end of the block."""
    command = [sys.executable, str(SERVERS / "odd.py"), "http", str(port), *options]
    async with await anyio.open_process(command, stdout=None, stderr=None) as process:
        try:
            await until(lambda: _answers(port))
            yield HttpServer("odd", f"http://127.0.0.1:{port}/mcp", {"X-Who": "test"})
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # it has ended, and nobody has noticed yet
                    process.kill()


def a_port() -> int:
    return free_port()


async def _answers(port: int) -> bool:
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when it holds: looked at again and again, since it happens in another process."""
    with anyio.fail_after(PATIENCE):
        while True:
            if await holds():
                return
            await anyio.sleep(0.01)


async def good(toolbox: Toolbox, name: str, **arguments: str | int) -> Reply:
    """The reply of a call that must succeed."""
    with anyio.fail_after(PATIENCE):
        reply = await toolbox.call(name, arguments)
    assert not reply.is_error, reply.text
    return reply


async def bad(toolbox: Toolbox, name: str, *, seconds: float | None = None, **arguments: str | int) -> str:
    """What a call says that must fail."""
    with anyio.fail_after(PATIENCE):
        reply = await toolbox.call(name, arguments, seconds=seconds)
    assert reply.is_error, reply.text
    return reply.text


async def until_gone(pid: int) -> None:
    """Return when there is no such process any more."""

    async def is_gone() -> bool:
        return not is_alive(pid)

    await until(is_gone)


async def until_there(file: Path) -> None:
    """Return when the file is there."""
    await until(anyio.Path(file).exists)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is not only waiting to be taken note of."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
