"""Export to a file or stdout, import from a file or stdin."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import typer

from mycelium.client.arrivals import read_export
from mycelium.errors import InvalidInput
from mycelium_server.cli.options import opened
from mycelium_server.cli.output import print_json

STEP: Final = 1000
"""Lines between two reports of progress."""


async def export_to(backend: str, file: Path | None, *, as_json: bool) -> None:
    """Write the whole store; a file is there whole or not at all."""
    if file is None or str(file) == "-":
        await _write(backend, sys.stdout.buffer)
        return
    try:
        lines = await _write_file(backend, file)
    except OSError as error:
        raise _no_file(file, error) from None
    _conclude({"file": str(file), "lines": lines}, f"{lines} lines written to {file}", as_json=as_json)


async def _write_file(backend: str, file: Path) -> int:
    whole, part = _whole_and_part(file)
    if part is None:
        with whole.open("wb") as pipe:
            return await _write(backend, pipe)
    try:
        with part.open("xb") as into:
            lines = await _write(backend, into)
            os.fsync(into.fileno())
        part.replace(whole)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return lines


def _whole_and_part(file: Path) -> tuple[Path, Path | None]:
    """What to write, and under which name until it is whole; None for a device or a pipe, which no file may replace."""
    whole = file.resolve()  # a link stays, what it leads to is replaced
    if whole.exists() and not whole.is_file():
        return whole, None
    return whole, whole.with_name(f".{whole.name}.{os.getpid()}.part")


async def _write(backend: str, into: BinaryIO) -> int:
    lines = 0
    with _Progress("exported", visible=not into.isatty()) as at:
        async with opened(backend) as m:
            async for line in m.export():
                into.write(f"{line}\n".encode())
                lines += 1
                at(lines)
        into.flush()
    return lines


async def import_from(backend: str, file: Path | None, *, as_json: bool) -> None:
    """Take over an export, all or nothing."""
    try:
        if file is not None and str(file) != "-":
            with file.open("rb") as lines:
                taken = await _read(backend, lines)
        elif sys.stdin.isatty():
            raise InvalidInput("Nothing to import.", hint="Name a file, or send one in: mycelium import < FILE.")
        else:
            taken = await _read(backend, sys.stdin.buffer)
    except OSError as error:
        raise _no_file(file or Path("-"), error) from None
    _conclude({"taken": taken}, f"{taken} records and events taken over", as_json=as_json)


async def _read(backend: str, lines: Iterable[bytes]) -> int:
    arrivals = await read_export(_each(lines))  # first, so that a refusal leaves no new store behind
    async with opened(backend, make=True) as m:
        return await m.take_over(arrivals)


async def _each(lines: Iterable[bytes]) -> AsyncGenerator[str]:
    number = 0
    with _Progress("read") as at:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InvalidInput(
                    f"Line {number}: not UTF-8 ({error.reason}).", hint="Give it what `mycelium export` wrote."
                ) from None
            at(number)
    if not number:
        raise InvalidInput("Nothing to import: it is empty.", hint="Give it what `mycelium export` wrote.")


class _Progress:
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


def _conclude(data: object, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(data)
    else:
        typer.echo(said, err=True)


def _no_file(file: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"{file}: {error.strerror or error}.", hint="Name another file.", file=str(file))
