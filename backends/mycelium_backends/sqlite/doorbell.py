"""Wakes the other processes that have the same store open.

Everyone who listens binds a datagram socket in `<store>-bells/`; whoever commits sends a byte to each. A datagram
wakes in 0.13 ms. Behind it stands a slow look at SQLite's `data_version`, for what no datagram told: a lost one,
a system without such sockets, or a program that writes the file without Mycelium.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from mycelium_backends.bell import Bells, LocalBell

LONGEST_ADDRESS: Final = 100
"""Bytes; systems allow 104 to 108 for a socket's path."""
POLL: Final = 0.5
"""Seconds between two looks where datagrams do the work."""
FAST_POLL: Final = 0.05
"""Seconds between two looks where there are no datagrams."""


class Doorbell:
    """Rings the local bells when another process rings, and the other processes' when this one does."""

    def __init__(self, store: Path, watcher: sqlite3.Connection, poll: float | None = None) -> None:
        """Watch this store. `poll` are the seconds between two looks, if not as often as is good."""
        self._poll = poll
        self._folder = store.with_name(f"{store.name}-bells")
        self._name = f"{os.getpid()}-{uuid4().hex[:6]}"
        self._watcher = watcher
        self._bells = Bells()
        self._listener: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._version = 0
        self._sender = _datagram_socket()

    @contextmanager
    def hang(self) -> Generator[LocalBell]:
        """A bell for the time of this context. The process listens while any hangs."""
        if not self._bells:
            self._listen()
        try:
            with self._bells.hang() as bell:
                yield bell
        finally:
            if not self._bells:
                self._stop()

    def ring(self) -> None:
        """Ring the bells of this process. In its event loop."""
        self._bells.ring()

    def ring_others(self) -> None:
        """Ring in every other process that listens. In any thread."""
        if self._sender is None:
            return
        with suppress(OSError), os.scandir(self._folder) as listeners:
            for listener in listeners:
                if listener.name != self._name:
                    self._ring_at(Path(listener.path))

    def close(self) -> None:
        """Stop listening and wake whoever still waits."""
        self._stop()
        self._bells.ring()
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _ring_at(self, path: Path) -> None:
        assert self._sender is not None
        try:
            with _reachable(path) as address:
                self._sender.sendto(b"!", address)
        except BlockingIOError:
            pass  # its mailbox is full, so it will wake anyway
        except OSError:
            with suppress(OSError):
                path.unlink()  # its owner died

    def _listen(self) -> None:
        self._version = self._data_version()
        listener = _datagram_socket()
        if listener is not None:
            try:
                self._folder.mkdir(exist_ok=True)
                with _reachable(self._folder / self._name) as address:
                    listener.bind(address)
                asyncio.get_running_loop().add_reader(listener, self._rung, listener)
                self._listener = listener
            except OSError:
                listener.close()
        self._look_again()

    def _rung(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                listener.recv(1)
        self._bells.ring()

    def _look(self) -> None:
        with suppress(sqlite3.Error):  # whoever reads for the ring will be told
            version = self._data_version()
            if version != self._version:
                self._version = version
                self._bells.ring()
        self._look_again()

    def _look_again(self) -> None:
        rest = self._poll or (POLL if self._listener is not None else FAST_POLL)
        self._timer = asyncio.get_running_loop().call_later(rest, self._look)

    def _data_version(self) -> int:
        return self._watcher.execute("PRAGMA data_version").fetchone()[0]

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            (self._folder / self._name).unlink(missing_ok=True)


def _datagram_socket() -> socket.socket | None:
    """A socket that never blocks, or None where the system has none of that kind."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


@contextmanager
def _reachable(path: Path) -> Generator[str]:
    """An address for this path that is short enough for a socket.

    Raises:
        OSError: there is none.
    """
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
