"""A server's process: started, spoken to, and ended for certain."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import SubprocessStreamProtocol
from contextlib import suppress
from typing import Final

import anyio
from mcp.client.stdio import get_default_environment

from mycelium_worker.servers.spec import StdioServer
from mycelium_worker.servers.wires.guard import GRACE
from mycelium_worker.servers.wires.wire import Unreachable

BUFFER: Final = 64 * 1024


class _Pipes(SubprocessStreamProtocol):
    """The standard one, with an event: its own `wait` also waits for pipes that a grandchild may hold."""

    def __init__(self) -> None:
        super().__init__(limit=BUFFER, loop=asyncio.get_running_loop())
        self.exited = anyio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class Child:
    """A child in a process group of its own, which Ctrl-C at the worker's terminal does not reach."""

    def __init__(self, transport: asyncio.SubprocessTransport, pipes: _Pipes) -> None:
        self._transport = transport
        self._pipes = pipes
        self.group = transport.get_pid()
        """The process group that it leads."""
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        assert pipes.stderr is not None
        self._stdin = pipes.stdin
        self.stdout = pipes.stdout
        self.stderr = pipes.stderr

    @classmethod
    async def start(cls, server: StdioServer) -> Child:
        """Start it with the SDK's safe variables and its own, nothing else.

        Raises:
            Unreachable: that is not possible.
        """
        if server.cwd is not None and not await anyio.Path(server.cwd).is_dir():
            raise Unreachable(f"cannot be started: there is no folder {server.cwd!r}")
        loop = asyncio.get_running_loop()
        try:
            transport, pipes = await loop.subprocess_exec(
                _Pipes,
                server.command,
                *server.args,
                env={**get_default_environment(), **server.env},
                cwd=server.cwd,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Unreachable(f"cannot be started: there is no command {server.command!r}") from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Unreachable(f"cannot be started: {server.command!r}: {why}") from None
        return cls(transport, pipes)

    async def say(self, line: bytes) -> None:
        """Write it; return when there is room for more.

        Raises:
            OSError: it reads no more.
        """
        self._stdin.write(line)
        await self._stdin.drain()

    async def how_it_ended(self) -> str:
        """The end of a sentence that begins with the server. Waits a moment for it to be gone."""
        with anyio.move_on_after(GRACE):
            await self._pipes.exited.wait()
        code = self._transport.get_returncode()
        if code is None:
            return "closed its output"
        if code >= 0:
            return f"ended with exit code {code}"
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"

    async def stop(self, *, patiently: bool = True) -> None:
        """Close its stdin, then SIGTERM, then SIGKILL, with a moment between them; then what it left behind."""
        self._stdin.close()
        if patiently and not await self._is_gone():
            self._signal(signal.SIGTERM)
            await self._is_gone()
        self._signal(signal.SIGKILL)
        await self._is_gone()

    def close(self) -> None:
        """Let go of its pipes."""
        self._transport.close()

    async def _is_gone(self) -> bool:
        with anyio.move_on_after(GRACE):
            await self._pipes.exited.wait()
        return self._pipes.exited.is_set()

    def _signal(self, number: signal.Signals) -> None:
        """To its whole group: those whom it started may still be there when it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)
