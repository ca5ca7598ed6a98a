"""A store's file seen from outside, without opening it as a store: nothing is changed, nothing is made."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mycelium.errors import MyceliumError
from mycelium.place import Finding, NamedPlace
from mycelium_backends.disk import examine_folder, in_words
from mycelium_backends.sqlite.connection import SMALLEST
from mycelium_backends.sqlite.errors import damaged, first_fault, translated
from mycelium_backends.sqlite.lock import holder_of
from mycelium_backends.sqlite.schema import VERSION, check
from mycelium_backends.sqlite.url import address_of

FRAGILE: Final = ((3, 7, 0), (3, 51, 2))
"""The versions of SQLite, first to last, that can damage a WAL under several writers."""
LOOKS: Final = 20
PAUSE: Final = 0.01
"""Seconds between two looks at the lock; a healthy holder never keeps it through `LOOKS` of them."""


def find_place(url: str) -> SqlitePlace:
    """See `mycelium.place.FindPlace`.

    Raises:
        UnknownBackend: the URL names no file.
        InvalidInput: a term in it is wrong.
    """
    address = address_of(url)
    return SqlitePlace(address.path, address.url)


@dataclass(frozen=True, slots=True)
class SqlitePlace(NamedPlace):
    """See `mycelium.place.Place`."""

    path: Path
    url: str

    def exists(self) -> bool:
        # An empty file is what a program leaves that died while it made the store.
        return self.path.exists() and not (self.path.is_file() and self.path.stat().st_size == 0)

    def examine(self) -> list[Finding]:
        return [_library(), *examine_folder(self.path), *self._content(), *_lock(self.path), *_bells(self.path)]

    def _content(self) -> Iterator[Finding]:
        if not self.exists():
            yield Finding("store", "not there yet; the first agent or `mycelium create` makes it")
            return
        try:
            # Without a log beside it the file can be read as it is, which leaves nothing behind. Who writes
            # meanwhile makes a log; then only a second look, through the log, can tell.
            yield from self._sound()
        except MyceliumError as error:
            yield Finding("integrity", error.message, "fail", error.hint)

    def _sound(self) -> list[Finding]:
        logged = _log_of(self.path).exists()
        try:
            return self._read()
        except MyceliumError:
            if logged or not _log_of(self.path).exists():
                raise
            return self._read()

    def _read(self) -> list[Finding]:
        with translated(self.path):
            size = sum(each.stat().st_size for each in (self.path, _log_of(self.path)) if each.exists())
            with _reading(self.path) as connection:
                version = check(connection, self.path)
                counts = _counts(connection)
        older = f", which the next opening brings to {VERSION}" if version < VERSION else ""
        findings = [
            Finding("integrity", "sound"),
            Finding("schema", f"{version}{older}"),
            Finding("size", in_words(size)),
        ]
        if counts:
            findings.append(Finding("content", ", ".join(f"{count} {name}" for name, count in counts.items())))
        return findings


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many there are of each kind that a store of this version knows."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    kinds = [kind for kind in ("tasks", "agents", "workflows", "triggers", "events") if kind in there]
    return {kind: connection.execute(f"SELECT count(*) FROM {kind}").fetchone()[0] for kind in kinds}


@contextmanager
def _reading(path: Path) -> Generator[sqlite3.Connection]:
    """A connection to a file that was found sound.

    Raises:
        StoreDamaged: it is not; says what is wrong.
    """
    if path.stat().st_size < SMALLEST:
        raise damaged(path, "it is not an SQLite database")
    how = "mode=ro" if _log_of(path).exists() else "immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(path, first_fault(str(found)))
        yield connection


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _library() -> Finding:
    version = sqlite3.sqlite_version
    if FRAGILE[0] <= sqlite3.sqlite_version_info <= FRAGILE[1]:
        return Finding(
            "SQLite", f"{version}; it can damage a file under several writers, Mycelium's lock prevents that"
        )
    return Finding("SQLite", version)


def _lock(path: Path) -> Iterator[Finding]:
    """Whether one process keeps the lock all the time: each commit has it for milliseconds."""
    file = path.with_name(f"{path.name}-lock")
    holder = holder_of(file)
    if holder is None:
        return
    for _ in range(LOOKS):
        time.sleep(PAUSE)
        if holder_of(file) != holder:
            return
    mend = f"See what process {holder} does (ps -p {holder}): continue it (kill -CONT {holder}) or end it."
    yield Finding("lock", f"process {holder}{_state_of(holder)} keeps it, nobody else can write", "fail", mend)


def _state_of(pid: int) -> str:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return " (stopped)" if state in "Tt" else ""


def _bells(path: Path) -> Iterator[Finding]:
    """The processes that have the store open and listen, by the names of their sockets."""
    folder = path.with_name(f"{path.name}-bells")
    try:
        pids = {int(each.name.partition("-")[0]) for each in folder.iterdir()}
    except (OSError, ValueError):
        return
    alive = sorted(pid for pid in pids if _alive(pid))
    gone = f"; {len(pids) - len(alive)} ended without saying so, which does no harm" if len(alive) < len(pids) else ""
    yield Finding("listeners", f"{len(alive)} processes follow this store{gone}")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
