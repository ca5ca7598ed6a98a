"""One lock between processes around everything that writes the file.

SQLite 3.7.0 to 3.51.2 can damage a WAL when several connections write and checkpoint at the same moment; and a
lock that is held for a whole group of commits also ends the quarrel for SQLite's own. Libraries for lock files
wait by sleeping for tens of milliseconds, which is longer than a hundred of our commits: hence these few lines.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mycelium_backends.sqlite.errors import locked

PATIENCE: Final = 10.0
"""Seconds to wait for the lock. It is held for milliseconds, unless its holder was stopped."""

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    def _unlock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)


def lock_path(store: Path) -> Path:
    """The file that is locked: not the store itself, whose locks are SQLite's."""
    return store.with_name(f"{store.name}-lock")


class FileLock:
    """An exclusive lock beside a store. The system frees it when its holder dies."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self.path = lock_path(store)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold the lock for the time of this block.

        Raises:
            StoreLocked: it was not free for `PATIENCE` seconds; names the process that holds it.
        """
        self._acquire()
        try:
            yield
        finally:
            _unlock(self._fd)

    def _acquire(self) -> None:
        pause, deadline = 0.0001, time.monotonic() + PATIENCE
        while True:
            try:
                return _try_lock(self._fd)
            except OSError:
                if time.monotonic() > deadline:
                    raise locked(self._store, holder_of(self.path)) from None
            time.sleep(pause)
            pause = min(pause * 1.2, 0.005)

    def close(self) -> None:
        os.close(self._fd)


def holder_of(path: Path) -> int | None:
    """The process that holds a lock on this file, where the system tells (Linux)."""
    try:
        table = Path("/proc/locks").read_text()
        inode = path.stat().st_ino
    except OSError:
        return None
    rows = (line.split() for line in table.splitlines() if "->" not in line)
    return next((int(row[4]) for row in rows if row[5].endswith(f":{inode}") and row[4] != "-1"), None)
