"""What an import reads from: stdin, a file, or a pipe, as far as somebody writes into it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Final

from mycelium.errors import InvalidInput
from mycelium_server.migrate.files import MAX_BYTES, unending

WRITER_SECONDS: Final = 10.0
"""How long a pipe may wait for somebody who opens it to write."""


def stdin() -> BinaryIO:
    """What is sent in.

    Raises:
        InvalidInput: it comes from a terminal.
    """
    if sys.stdin.isatty():
        raise InvalidInput("Nothing to import.", hint="Name a file, or send one in: mycelium import < FILE.")
    return sys.stdin.buffer


def opened_file(file: Path) -> BinaryIO:
    """The file, open for reading.

    Raises:
        InvalidInput: it is a pipe that nobody opens to write.
        OSError: it cannot be opened.
    """
    if not file.is_fifo():
        return file.open("rb")
    pipe: Future[BinaryIO] = Future()
    # Opening waits for the writer, and only a thread that nobody waits for can be left waiting.
    Thread(target=partial(_open, file, pipe), daemon=True).start()
    try:
        return pipe.result(WRITER_SECONDS)
    except TimeoutError:
        raise InvalidInput(
            f"{file}: a pipe into which nobody writes.", hint="Begin to write first.", file=str(file)
        ) from None


def _open(file: Path, into: Future[BinaryIO]) -> None:
    try:
        into.set_result(file.open("rb"))
    except OSError as error:
        into.set_exception(error)


def lines_of(content: BinaryIO, name: str) -> Iterator[bytes]:
    """Line by line, as they come.

    Raises:
        InvalidInput: a line has no end within reason.
    """
    while line := content.readline(MAX_BYTES + 1):
        if len(line) > MAX_BYTES:
            raise unending(name)
        yield line
