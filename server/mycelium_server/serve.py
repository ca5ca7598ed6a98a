"""Serving one client over stdin and stdout."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import TaskStatus
from mcp.server import Server

from mycelium.errors import InvalidInput
from mycelium_server.assembly.server import build_server, store_at
from mycelium_server.logs import log_to_stderr
from mycelium_server.stdio import stdio_streams
from mycelium_tools.profiles import PROFILES, Profile

if TYPE_CHECKING:
    from mycelium.settings.network import RabbitMQ

EXPLANATION: Final = (
    "This speaks MCP over stdin and stdout, and waits for a client, which usually starts it by itself: "
    "`mycelium doctor` says how to connect one. Ctrl-C ends it."
)


async def serve_stdio(
    *,
    url: str,
    agent: str | None,
    profile: Profile = "core",
    rabbitmq: Callable[[], RabbitMQ] | None = None,
) -> None:
    """Serve the store at `url` until the client goes, or SIGTERM or SIGINT comes; then close it in order.

    `agent` is the connection's name; one is made unless given. `rabbitmq` reads the settings of the broker that what
    the log tells is relayed to, if one is configured.

    Raises:
        InvalidId: `agent` is not a name.
        InvalidInput: the process was started without stdin or stdout.
    """
    await run_over_stdio(lambda: build_server(store_at(url, agent, rabbitmq), PROFILES[profile]))


async def run_over_stdio(build: Callable[[], Server[Any]]) -> None:
    """Run the server that `build` makes until the client goes, or SIGTERM or SIGINT comes; then close it in order.

    `MYCELIUM_LOG` is the level of logs on stderr.

    Raises:
        InvalidInput: the process was started without stdin or stdout.
    """
    _check_streams()
    log_to_stderr(os.environ.get("MYCELIUM_LOG") or "WARNING")
    server = build()
    by_hand = os.isatty(0)
    async with stdio_streams() as (read_stream, write_stream):
        async with _until_told_to_end() as told:
            if by_hand:
                sys.stderr.write(f"{EXPLANATION}\n")
            await server.run(read_stream, write_stream, server.create_initialization_options())
        if by_hand and told.is_set():
            # All is closed but for a thread that reads the terminal, which nothing but Enter would wake.
            sys.stdout.flush()
            os._exit(0)


def _check_streams() -> None:
    # Python has None for a stream that was closed before it started.
    streams = {"stdin": sys.__stdin__, "stdout": sys.__stdout__}
    if closed := [name for name, stream in streams.items() if stream is None]:
        raise InvalidInput(f"There is no {' and no '.join(closed)}.", hint="Start it with both open: MCP needs them.")


@asynccontextmanager
async def _until_told_to_end() -> AsyncGenerator[anyio.Event]:
    """End this context early, and quietly, when a signal comes, and set the event that it gives.

    A second signal ends the process as usual.
    """
    told = anyio.Event()
    if sys.platform == "win32":
        yield told
        return
    async with anyio.create_task_group() as tasks:
        await tasks.start(_set_on_signal, told, tasks.cancel_scope)
        yield told
        tasks.cancel_scope.cancel()


async def _set_on_signal(told: anyio.Event, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        await anext(aiter(signals))
    told.set()
    scope.cancel()
