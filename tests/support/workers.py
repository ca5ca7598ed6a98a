"""Real `mycelium worker` processes, which a test may kill, stop or end."""

import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.text import TextReceiveStream

from tests.support.processes import MYCELIUM, PATIENCE

HIDDEN = ("MYCELIUM_", "RABBITMQ_", "REDIS_", "ANTHROPIC_", "OPENAI_", "SWARM_", "NO_COLOR")
"""How variables begin that would tell a worker something that no test has said."""


class WorkerProcess:
    """One worker, and what it has said so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.out = ""
        self.err = ""
        self._said = anyio.Event()
        self._open = {"out", "err"}

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line.endswith("\n")]

    async def has_said(self, words: str) -> None:
        """Return when these words are on stderr."""
        with anyio.fail_after(PATIENCE):
            while words not in self.err:
                await self._said.wait()

    async def has_told(self, count: int) -> list[dict[str, Any]]:
        """So many outcomes, once they are on stdout."""
        with anyio.fail_after(PATIENCE):
            while len(self.outcomes) < count:
                await self._said.wait()
        return self.outcomes

    async def ends(self) -> int:
        """Its exit code, once all that it said is here."""
        with anyio.fail_after(PATIENCE):
            code = await self.process.wait()
            while self._open:
                await self._said.wait()
        return code

    async def read(self, stream: ByteReceiveStream | None, name: str) -> None:
        assert stream is not None
        async for text in TextReceiveStream(stream):
            setattr(self, name, getattr(self, name) + text)
            self._wake()
        self._open.discard(name)
        self._wake()

    def _wake(self) -> None:
        self._said.set()
        self._said = anyio.Event()


def environment() -> dict[str, str]:
    """The variables of whoever runs the tests, without what is meant for Mycelium."""
    return {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}


@asynccontextmanager
async def working(*args: str, env: Mapping[str, str], folder: Path) -> AsyncGenerator[WorkerProcess]:
    """A worker that is killed at the end of this context, if it is still there."""
    process = await anyio.open_process([MYCELIUM, "worker", *args], env=env, cwd=folder)
    worker = WorkerProcess(process)
    async with process, anyio.create_task_group() as tasks:
        tasks.start_soon(worker.read, process.stdout, "out")
        tasks.start_soon(worker.read, process.stderr, "err")
        try:
            yield worker
        finally:
            if process.returncode is None:
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.wait()
