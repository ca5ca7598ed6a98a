"""The one thread of a process that writes: the journal first, then the files; with the index kept in step."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from mycelium.backend import Committed
from mycelium.errors import MyceliumError, StoreDamaged
from mycelium_backends.markdown.changes import FileApplier
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.ground import Ground
from mycelium_backends.markdown.index import Index
from mycelium_backends.markdown.journal import FULL, Entry, Journal
from mycelium_backends.markdown.names import kind_and_key
from mycelium_backends.markdown.recovery import finish, keep_log
from mycelium_backends.markdown.takeup import TakeUp
from mycelium_backends.markdown.view import MarkdownView, Outdated
from mycelium_backends.sqlite.apply import Applier
from mycelium_backends.sqlite.errors import translated, unavailable
from mycelium_backends.sqlite.view import SqliteView
from mycelium_backends.sqlite.writer import Job, Writer

log = logging.getLogger("mycelium.markdown")

TRIES: Final = 20
"""How often a commit begins anew because somebody is changing files under it."""


class MarkdownWriter(Writer):
    """Runs jobs in the order they came; each group becomes durable with one fsync, of the journal."""

    def __init__(self, folder: Folder, journal: Journal, **rest: Any) -> None:
        self._folder = folder
        self._journal = journal
        self._wrote = False
        self._taker: TakeUp | None = None
        super().__init__(**rest)

    def _commit(self, group: list[Job]) -> bool:
        changed: list[str] = []
        with translated(self._folder.path, self._folder.index):
            for _ in range(TRIES):
                try:
                    return self._try(group, changed)
                except Outdated as found:
                    changed.extend(found.names)
        raise unavailable(self._folder.path / changed[-1], "somebody keeps changing it")

    def _try(self, group: list[Job], changed: Sequence[str]) -> bool:
        keep_log(self._folder, Index(self.connection))
        redone = finish(self._folder, self._journal) if not self._journal.settled() else []
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            view = MarkdownView(connection, self._clock(), self._folder)
            applier = FileApplier(connection, self._folder, self._store_id, view.now, view.last_seq())
            taker = self._taker = TakeUp(Ground(connection, self._folder, view, applier))
            taker.events()
            Index(connection).tell(found for name in redone if (found := kind_and_key(name)) is not None)
            taker.files(dict.fromkeys([*redone, *changed]))
            for job in group:
                job.outcome = self._decide(job, view, applier)
            entry = applier.entry()
            self._seal(entry)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._folder.clear()
            raise
        if entry is not None:
            self._place(entry)
        return applier.wrote

    def _decide(self, job: Job, view: SqliteView, applier: Applier) -> Committed[Any] | MyceliumError | None:
        assert self._taker is not None
        for _ in range(TRIES):
            try:
                return super()._decide(job, view, applier)
            except Outdated as found:
                self._taker.files(found.names)
        return unavailable(self._folder.path, "somebody keeps changing its files")

    def _seal(self, entry: Entry | None) -> None:
        """The moment of the commit: before it nothing has happened, from it on everything has."""
        if entry is None:
            self.connection.execute("COMMIT")
            return
        self._journal.add(entry)
        try:
            self.connection.execute("COMMIT")
        except BaseException:
            self._journal.take_back()
            raise

    def _place(self, entry: Entry) -> None:
        """Write what is committed. What fails here is done by the next commit, before anything else."""
        self._wrote = True
        try:
            self._folder.write(entry)
            self._journal.mark()
        except (OSError, StoreDamaged) as error:
            log.warning("%s: a commit will be written to its files later: %s", self._folder.path, error)

    def _checkpoint(self) -> None:
        if self._journal.size() > FULL:
            self.flush()
        super()._checkpoint()

    def flush(self) -> None:
        """Bring everything to the disk and empty the journal. With the lock held."""
        if not self._journal.settled():
            return
        names = {name for entry in self._journal.entries() for name in entry.files}
        self._folder.flush(names)
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._journal.empty()

    def flush_own(self) -> None:
        """`flush`, if this process has written anything. With the lock held, when nothing is under way."""
        if self._wrote:
            with translated(self._folder.path, self._folder.index):
                self.flush()


def open_folder(folder: Folder, connection: sqlite3.Connection, journal: Journal) -> None:
    """Finish what a process that died has begun, after which the index can be trusted. With the lock held."""
    index = Index(connection)
    keep_log(folder, index)
    boot = _boot()
    if not journal.settled() or not boot or index.meta("boot") != boot:
        finish(folder, journal, doubted=True)
    index.note("boot", boot)


def _boot() -> str:
    """Which run of the machine this is, where the system tells (Linux)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
