"""What servers write to their stderr goes into the worker's log, as much as a person can read."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import anyio

from mycelium_worker.servers.wires.allowance import Allowance

log = logging.getLogger("mycelium.worker.servers")

LONGEST: Final = 1000
"""Bytes of a line that are kept."""
MOST: Final = 100
"""Lines that are kept within `SPAN` seconds."""
SPAN: Final = 10.0
CHUNK: Final = 64 * 1024


async def pass_on_stderr(server: str, stderr: asyncio.StreamReader) -> None:
    """Log its lines until there are no more. Whoever writes without end is slowed down, and heard in part."""
    allowance = Allowance(8 * 1024 * 1024)
    log_of = _Lines(server)
    try:
        while chunk := await stderr.read(CHUNK):
            log_of.take(chunk)
            await allowance.take(len(chunk))
    except OSError:
        pass
    log_of.finish()


class _Lines:
    """Logs lines, cut to `LONGEST`, and counts those that it leaves out."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = b""
        self._began = anyio.current_time()
        self._told = 0
        self._left_out = 0

    def take(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._tell(self._rest + piece[:LONGEST])
            self._rest = b""
        self._rest = (self._rest + rest[:LONGEST])[:LONGEST]

    def finish(self) -> None:
        self._tell(self._rest)
        self._say_left_out()

    def _tell(self, line: bytes) -> None:
        if not line.strip():
            return
        if anyio.current_time() - self._began >= SPAN:
            self._say_left_out()
            self._began, self._told = anyio.current_time(), 0
        if self._told >= MOST:
            self._left_out += 1
            return
        self._told += 1
        log.info("server %s: %s", self._server, _readable(line))

    def _say_left_out(self) -> None:
        if self._left_out:
            log.info("server %s: %d more lines, left out", self._server, self._left_out)
        self._left_out = 0


def _readable(line: bytes) -> str:
    """Without what a terminal would obey."""
    text = line[:LONGEST].decode(errors="replace").rstrip()
    return "".join(char if char.isprintable() or char == "\t" else "�" for char in text)
