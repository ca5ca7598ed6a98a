"""Export to a file or stdout."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from mycelium_server.cli.options import opened
from mycelium_server.cli.progress import Progress, conclude, no_file

Format: TypeAlias = Literal["mycelium", "taskqueue"]
"""Everything, to be imported again; or the tasks alone, for programs that read tasks in that schema."""


async def export_to(backend: str, file: Path | None, format: Format, *, as_json: bool) -> None:
    """Write the whole store; a file is there whole or not at all."""
    if file is None or str(file) == "-":
        await _write(backend, format, sys.stdout.buffer)
        return
    try:
        lines = await _write_file(backend, format, file)
    except OSError as error:
        raise no_file(file, error) from None
    conclude({"file": str(file), "lines": lines}, f"{lines} lines written to {file}", as_json=as_json)


async def _write_file(backend: str, format: Format, file: Path) -> int:
    whole, part = _whole_and_part(file)
    if part is None:
        with whole.open("wb") as pipe:
            return await _write(backend, format, pipe)
    try:
        with part.open("xb") as into:
            lines = await _write(backend, format, into)
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


async def _write(backend: str, format: Format, into: BinaryIO) -> int:
    lines = 0
    with Progress("exported", visible=not into.isatty()) as at:
        async with opened(backend) as m:
            async for line in m.export() if format == "mycelium" else m.export_tasks():
                into.write(f"{line}\n".encode())
                lines += 1
                at(lines)
        into.flush()
    return lines
