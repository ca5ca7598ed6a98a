"""From what SQLite and the file system say to what Mycelium says."""

from __future__ import annotations

import errno
import glob
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from mycelium.errors import (
    BackendUnavailable,
    Conflict,
    MyceliumError,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)

PRIMARY: Final = 0xFF
"""The part of an extended result code that names its family."""


WRITES: Final = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE})
"""What SQLite says of any failed write but one to a disk without room; also of one beyond a quota or a limit."""
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PROBE: Final = 64 * 1024
"""Bytes that have room where a write did not fail for want of it."""


@contextmanager
def translated(path: Path, database: Path | None = None) -> Generator[None]:
    """Let nothing of the driver's or the system's out of this block. `database` is SQLite's file, if not `path`."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in WRITES and _has_no_room(database or path):
            raise full(path) from error
        raise from_sqlite(error, path) from error
    except OSError as error:
        raise from_system(error, path) from error


def from_sqlite(error: sqlite3.Error, path: Path) -> MyceliumError:
    """Our error for one of SQLite's."""
    said = str(error)
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & PRIMARY:
        case sqlite3.SQLITE_CONSTRAINT:
            return Conflict(f"Another record stands in the way: {said}.", hint="Use another id or key.")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return locked(path, None)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return read_only(path)
        case sqlite3.SQLITE_FULL:
            return full(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, said)
        case _:
            return unavailable(path, said)


def from_system(error: OSError, path: Path) -> MyceliumError:
    """Our error for one of the operating system's."""
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return read_only(path)
        case code if code in NO_ROOM:
            return full(path)
        case _:
            return unavailable(path, str(error))


def _has_no_room(database: Path) -> bool:
    """Whether a file beside this one cannot grow beyond it and its log, which SQLite does not tell."""
    try:
        size = max(file.stat().st_size for file in database.parent.glob(f"{glob.escape(database.name)}*"))
        with TemporaryFile(dir=database.parent, buffering=0) as probe:
            probe.seek(size)
            return probe.write(bytes(PROBE)) < PROBE
    except OSError as error:
        return error.errno in NO_ROOM
    except ValueError:  # the database was removed
        return False


def unavailable(path: Path, why: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"The store {path} cannot be used: {why}.",
        hint="`mycelium doctor` looks for the cause.",
        path=str(path),
    )


def damaged(path: Path, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"The store {path} is damaged ({why}); it was left as it is.",
        hint="Restore a backup or an export, or move the file away to begin a new store.",
        path=str(path),
    )


def first_fault(report: str) -> str:
    """What `PRAGMA quick_check` found first; above it stands a heading that only names the database."""
    return next((line for line in report.splitlines() if not line.startswith("***")), report)


def read_only(path: Path) -> StoreReadOnly:
    return StoreReadOnly(
        f"The store {path} cannot be written.",
        hint="Give this user the right to write the file and its folder, or choose another store with --backend.",
        path=str(path),
    )


def full(path: Path) -> StoreFull:
    return StoreFull(
        f"There is no room left to write the store {path}; this change was not made.",
        hint="Free some space on that disk, or raise the quota or the limit on files' sizes, and call again.",
        path=str(path),
    )


def locked(path: Path, holder: int | None) -> StoreLocked:
    who = f"process {holder}" if holder else "another process"
    return StoreLocked(
        f"The store {path} is locked by {who}; this change was not made.",
        hint="Call again; if it stays so, see whether that process is stopped, and continue or end it.",
        path=str(path),
        pid=holder,
    )
