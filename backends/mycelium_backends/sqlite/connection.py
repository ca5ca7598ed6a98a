"""Open connections, after looking whether the file may be trusted."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mycelium_backends.sqlite.errors import damaged, first_fault
from mycelium_backends.sqlite.schema import check

SMALLEST: Final = 512
"""Bytes of the smallest page, so of the smallest database."""
CHECKED_BYTES: Final = 128 * 1024 * 1024
"""Files up to this size are checked whole when they are opened (0.25 s); larger ones by `mycelium doctor`."""
SHORT_WAL_BYTES: Final = 1024 * 1024
"""To this a WAL is cut when it begins anew after a checkpoint."""
BUSY_MS: Final = 5000
"""How long to wait for a program that writes the file without our lock."""
CACHE_KIB: Final = 4096
"""Pages that a connection keeps. The system keeps the file, too: more would be a second copy in each process."""


def writer(path: Path) -> sqlite3.Connection:
    """A connection that may write: durable at each commit, and never checkpointing by itself."""
    connection = _connect(path, "rwc")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {SHORT_WAL_BYTES}").fetchone()
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads. In WAL mode it never waits for writers."""
    connection = _connect(path, "rw")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA query_only = ON")
    connection.create_function("lower", 1, str.lower, deterministic=True)  # SQLite's own knows ASCII only
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # One thread at a time uses each connection, but not always the one that opened it.
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=BUSY_MS / 1000,
    )
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def inspect(path: Path, *, whole: bool = False) -> None:
    """Look whether an existing file is a sound store that this Mycelium knows, without changing it.

    Raises:
        StoreDamaged: it is not sound, or not a store; says what is wrong.
        SchemaTooNew: a newer Mycelium made it.
    """
    if not path.exists():
        return
    if path.stat().st_size == 0:
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise damaged(path, "it is empty, but its write-ahead log is not")
        return
    if path.stat().st_size < SMALLEST:
        raise damaged(path, "it is not an SQLite database")
    # Never through `open`: closing the file would drop the locks that this process holds on it, and then the next
    # process to leave would take the WAL away from under us.
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        check(connection, path)
        if whole or path.stat().st_size <= CHECKED_BYTES:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise damaged(path, first_fault(str(found)))
    finally:
        connection.close()
