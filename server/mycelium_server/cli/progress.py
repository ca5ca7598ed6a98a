"""What exporting and importing share: progress, and the last words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import typer

from mycelium.errors import InvalidInput
from mycelium_server.cli.output import print_json

STEP: Final = 1000
"""Lines between two reports of progress."""


class Progress:
    """Counts lines on stderr where that is a terminal."""

    def __init__(self, done: str, *, visible: bool = True) -> None:
        self._done = done
        self._visible = visible
        self._shown = False

    def __enter__(self) -> Callable[[int], None]:
        return self._at if sys.stderr.isatty() and self._visible else lambda _: None

    def _at(self, lines: int) -> None:
        if lines % STEP == 0:
            self._shown = True
            print(f"\r{lines} lines {self._done}", end="", file=sys.stderr, flush=True)  # noqa: T201  not protocol

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201  not protocol


def conclude(data: object, said: str, *, as_json: bool) -> None:
    """Say what was done, on stderr unless it is JSON: stdout may hold the export."""
    if as_json:
        print_json(data)
    else:
        typer.echo(said, err=True)


def no_file(file: Path, error: OSError) -> InvalidInput:
    """The error for a file that cannot be used."""
    return InvalidInput(f"{file}: {error.strerror or error}.", hint="Name another file.", file=str(file))
