"""The worker's side of a guard (see `guard`)."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import Process

from mycelium_worker.servers.wires import guard
from mycelium_worker.servers.wires.wire import Unreachable


class Guard:
    """Waits beside a server for the death of this process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def watch(self, group: int) -> None:
        """From now on, end this process group when this process dies without having done so."""
        assert self._process.stdin is not None
        with suppress(anyio.BrokenResourceError):  # somebody killed the guard, and the server does without
            await self._process.stdin.send(str(group).encode())


@asynccontextmanager
async def guarded() -> AsyncGenerator[Guard]:
    """A guard for one server. At the end of this context the server must be gone; then the guard goes, too.

    Raises:
        Unreachable: no process can be started.
    """
    command = [sys.executable, "-I", "-S", guard.__file__]
    try:
        # In a session of its own, nothing reaches it that ends the worker or the server.
        process = await anyio.open_process(command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)
    except OSError as error:
        raise Unreachable(f"cannot be guarded: {error.strerror}") from None
    async with process:
        try:
            yield Guard(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
