"""Real `mycelium worker` processes."""

import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.text import TextReceiveStream

from tests.worker.plugin import install_plugin

PATIENCE = 60.0
"""Seconds: a bound for a broken build, generous because many processes share two cores."""


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


class Ground:
    """A folder with a store, a plugin and files that tasks wait for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/team.db"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
        plugin = install_plugin(folder / "plugin")
        self.env: Mapping[str, str] = {**kept, "MYCELIUM_BACKEND": self.url, "PYTHONPATH": str(plugin)}

    @asynccontextmanager
    async def worker(self, *args: str, as_json: bool = True, **env: str) -> AsyncGenerator[WorkerProcess]:
        """A worker that is killed at the end of this context, if it is still there."""
        command = [sys.executable, "-m", "mycelium_server", "worker", *(["--json"] if as_json else []), *args]
        process = await anyio.open_process(command, env={**self.env, **env}, cwd=self.folder)
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

    def waiting(self, name: str) -> dict[str, Any]:
        """The payload of a `wait` task."""
        return {"begun": str(self.folder / f"{name}.begun"), "until": str(self.folder / f"{name}.until")}

    async def has_begun(self, name: str) -> None:
        """Return when this `wait` task runs."""
        with anyio.fail_after(PATIENCE):
            await anyio.to_thread.run_sync(_appears, self.folder / f"{name}.begun", abandon_on_cancel=True)

    def let_end(self, name: str) -> None:
        """Let this `wait` task end."""
        (self.folder / f"{name}.until").touch()


HIDDEN = ("MYCELIUM_", "RABBITMQ_", "REDIS_", "ANTHROPIC_", "OPENAI_", "SWARM_", "NO_COLOR")


def _appears(path: Path) -> None:
    """Wait for a file. Other processes have no better way to tell a test of their own beginning."""
    import time

    end = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
