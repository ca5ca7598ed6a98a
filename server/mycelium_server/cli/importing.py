"""Import an export of ours, or the tasks of another program, from a file, a folder or stdin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from mycelium.client.arrivals import read_export
from mycelium.client.base import system_clock
from mycelium.errors import InvalidInput
from mycelium_server.cli.options import opened
from mycelium_server.cli.progress import Progress, conclude, no_file
from mycelium_server.cli.sources import lines_of, opened_file, stdin
from mycelium_server.migrate.files import all_of
from mycelium_server.migrate.recognise import HINT, is_export, read_file, read_folder

if TYPE_CHECKING:
    from mycelium_server.migrate.foreign import Foreign

MOST_BLANKS: Final = 1000
"""Lines before the first that says something."""


async def import_from(backend: str, file: Path | None, *, as_json: bool) -> None:
    """Take over what is in the file, all or nothing. All of it is read and checked before a store is made."""
    try:
        if file is None or str(file) == "-":
            await _import(backend, stdin(), "stdin", as_json=as_json)
        elif _is_folder(file):
            await _take_in(backend, read_folder(file), as_json=as_json)
        else:
            with opened_file(file) as content:
                await _import(backend, content, str(file), as_json=as_json)
    except OSError as error:
        raise no_file(file or Path("-"), error) from None


def _is_folder(file: Path) -> bool:
    return file.is_dir()


async def _import(backend: str, content: BinaryIO, name: str, *, as_json: bool) -> None:
    """Its first line tells what it is."""
    lines = lines_of(content, name)
    head = _head(lines, name)
    if not head:
        raise InvalidInput("Nothing to import: it is empty.", hint=HINT)
    if is_export(head[-1]):
        await _take_over(backend, chain(head, lines), as_json=as_json)
    else:
        await _take_in(backend, read_file(all_of(content, name, b"".join(head)), name), as_json=as_json)


def _head(lines: Iterator[bytes], name: str) -> list[bytes]:
    """All lines up to the first that is not blank."""
    head: list[bytes] = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
        if len(head) > MOST_BLANKS:
            raise InvalidInput(f"{name}: nothing but blank lines.", hint=HINT, file=name)
    return head


async def _take_over(backend: str, lines: Iterable[bytes], *, as_json: bool) -> None:
    arrivals = await read_export(_each(lines))
    async with opened(backend, make=True) as m:
        taken = await m.take_over(arrivals)
    conclude({"taken": taken}, f"{taken} records and events taken over", as_json=as_json)


async def _each(lines: Iterable[bytes]) -> AsyncGenerator[str]:
    with Progress("read") as at:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InvalidInput(
                    f"Line {number}: not UTF-8 ({error.reason}).", hint="Give it what `mycelium export` wrote."
                ) from None
            at(number)


async def _take_in(backend: str, foreign: Foreign, *, as_json: bool) -> None:
    from mycelium_server.migrate.records import records_of

    if not any(group.tasks for group in foreign.groups):
        raise InvalidInput(f"{foreign.file}: there is no task in it.", hint=HINT, file=foreign.file)
    records = records_of(foreign, system_clock())
    async with opened(backend, make=True) as m:
        taken = await m.take_in(records)
    workflows = len(foreign.groups)
    tasks = taken - workflows
    data = {"tasks": tasks, "workflows": workflows, "from": foreign.program}
    conclude(data, f"{tasks} tasks taken in from {foreign.program}, in {workflows} workflow(s)", as_json=as_json)
