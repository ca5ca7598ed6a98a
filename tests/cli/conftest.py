"""A command line in this process, in an empty folder, on a store of its own."""

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from mycelium import Mycelium
from mycelium_server.cli.app import app
from mycelium_server.cli.run import run

T = TypeVar("T")


@dataclass(frozen=True)
class Said:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Command:
    """Calls `mycelium` with its output in pipes."""

    def __init__(self, capture: pytest.CaptureFixture[str], url: str) -> None:
        self._capture = capture
        self.url = url

    def __call__(self, *args: str) -> Said:
        self._capture.readouterr()
        code = run(app, args)
        said = self._capture.readouterr()
        return Said(code, said.out, said.err)

    def succeed(self, *args: str) -> Said:
        said = self(*args)
        assert (said.code, said.err) == (0, "")
        return said

    def fail(self, code: int, *args: str) -> str:
        """The one line on stderr of a command that ends with this code and prints nothing else."""
        said = self(*args)
        assert (said.code, said.out) == (code, "")
        (line,) = said.err.splitlines()
        return line

    def with_store(self, act: Callable[[Mycelium], Awaitable[T]]) -> T:
        """Do something to the store that the commands use."""

        async def main() -> T:
            async with Mycelium.open(self.url, agent="ada", background=False) as m:
                return await act(m)

        return anyio.run(main)


@pytest.fixture
def mycelium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, with only its own store in its environment."""
    for name in [name for name in os.environ if name.startswith(("MYCELIUM_", "RABBITMQ_", "REDIS_", "TASKQUEUE_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    url = f"sqlite:///{tmp_path / 'store' / 'team.db'}"
    monkeypatch.setenv("MYCELIUM_BACKEND", url)
    return Command(capsys, url)
