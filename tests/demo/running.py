"""The demo as a process of its own, and its store as a bystander sees it."""

import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process

from mycelium import Mycelium
from mycelium.errors import NotFound
from mycelium.models import Event
from tests.support.processes import MYCELIUM, PATIENCE

AGENTS = ("ada", "grace", "edsger")
FILES = 9
HIDDEN = ("MYCELIUM_", "RABBITMQ_", "ANTHROPIC_", "OPENAI_", "SWARM_")


@dataclass
class Demo:
    """A demo under way on a folder of `FILES` files, with its store and its report in `place`."""

    process: Process
    m: Mycelium
    place: Path
    _seen: int = 0

    @property
    def report(self) -> str:
        return (self.place / "report.md").read_text()

    async def until(self, type: str, source: str | None, times: int = 1, **data: object) -> Event:
        """The event that makes this the `times`-th of its kind; each is counted once."""
        with anyio.fail_after(PATIENCE):
            async for event in self.m.follow_events(after=self._seen):
                self._seen = event.seq
                alike = event.type == type and source in (None, event.source)
                times -= alike and all(event.data.get(name) == value for name, value in data.items())
                if times == 0:
                    return event
        raise AssertionError("a log without end has ended")

    async def agents_pid(self, name: str) -> int:
        """The process of an agent, once it has introduced itself."""
        with anyio.fail_after(PATIENCE):
            async with self.m.backend.changes() as bell:
                while True:
                    with suppress(NotFound):
                        pid = (await self.m.get_agent_status(name)).metadata.get("pid")
                        if isinstance(pid, int):
                            return pid
                    await bell.wait()

    async def ended(self) -> tuple[int, str]:
        """Its exit code and what it said, once it has ended."""
        assert self.process.stdout is not None
        said = b""
        with anyio.fail_after(PATIENCE):
            async for chunk in self.process.stdout:
                said += chunk
            return await self.process.wait(), said.decode()


def write_project(folder: Path, files: int = FILES) -> None:
    """A folder with this many Python files more, none of them empty."""
    folder.mkdir(exist_ok=True)
    for number in range(files):
        (folder / f"module_{number}.py").write_text(f"import os\n\n\ndef f_{number}(x):\n    return x or 1\n")


def arguments(place: Path, pace: float) -> list[str]:
    where = ["--backend", f"sqlite:///{place / 'store.db'}", "--report", str(place / "report.md")]
    return [MYCELIUM, "demo", str(place / "project"), *where, "--pace", str(pace)]


def environment(place: Path) -> dict[str, str]:
    """Without the keys and the broker of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
    return {**kept, "TMPDIR": str(place)}


@asynccontextmanager
async def demo_running(place: Path, pace: float, *options: str, **variables: str) -> AsyncGenerator[Demo]:
    """A demo whose measuring tasks each take `pace` seconds or more."""
    write_project(place / "project")
    async with Mycelium.open(f"sqlite:///{place / 'store.db'}", background=False) as m:
        process = await anyio.open_process(
            [*arguments(place, pace), *options],
            cwd=place,
            env={**environment(place), **variables},
            stderr=subprocess.STDOUT,
        )
        try:
            yield Demo(process, m, place)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.aclose()
