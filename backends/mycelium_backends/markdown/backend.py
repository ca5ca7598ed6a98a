"""The markdown backend: files that people read, edit and commit, with an index to find things by."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from anyio import to_thread

from mycelium.backend import Clock, closed
from mycelium.errors import StoreError
from mycelium.models import Record, Stats
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.index import Index, open_index
from mycelium_backends.markdown.journal import Journal
from mycelium_backends.markdown.log import NAME as LOG_NAME
from mycelium_backends.markdown.log import check_format
from mycelium_backends.markdown.opening import A_LINK, check_state, damaged
from mycelium_backends.markdown.url import folder_of, url_of
from mycelium_backends.markdown.view import MarkdownView
from mycelium_backends.markdown.watch import Watcher, differing
from mycelium_backends.markdown.writer import MarkdownWriter, open_folder
from mycelium_backends.sqlite.backend import SqliteBackend
from mycelium_backends.sqlite.errors import translated
from mycelium_backends.sqlite.lock import FileLock
from mycelium_backends.sqlite.url import Address
from mycelium_backends.sqlite.view import SqliteView
from mycelium_backends.sqlite.writer import Job, Writer

log = logging.getLogger("mycelium.markdown")

R = TypeVar("R", bound=Record)


async def open_backend(url: str, clock: Clock) -> MarkdownBackend:
    """Open the store in this folder, making it where there is none.

    Raises:
        UnknownBackend: the URL names no folder.
        StoreDamaged, StoreReadOnly, StoreLocked, StoreFull, SchemaTooNew, BackendUnavailable: it cannot be used.
    """
    folder = Folder(folder_of(url))
    lock, connection, journal = await to_thread.run_sync(_open, folder)
    backend = MarkdownBackend(folder, lock, connection, journal, clock=clock)
    try:
        await backend.catch_up()
    except BaseException:
        await backend.aclose()
        raise
    return backend


def _open(folder: Folder) -> tuple[FileLock, sqlite3.Connection, Journal]:
    with translated(folder.path, folder.index):
        check_state(folder.state)
        if folder.log.is_symlink():
            raise damaged(folder.log, A_LINK)
        if folder.log.exists():
            check_format(folder.log)
        folder.state.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.index)
        try:
            with lock.held():
                folder.make()
                connection = open_index(folder)
                journal = Journal(folder.state / "journal")
                open_folder(folder, connection, journal)
        except BaseException:
            lock.close()
            raise
        return lock, connection, journal


class MarkdownBackend(SqliteBackend):
    """See `mycelium.backend.Backend`, whose promises these methods keep.

    It is the SQLite backend on an index of the files, with a writer that writes the files, too.
    """

    def __init__(
        self, folder: Folder, lock: FileLock, connection: sqlite3.Connection, journal: Journal, *, clock: Clock
    ) -> None:
        self._folder = folder
        self._journal = journal
        super().__init__(Address(folder.index, mode="markdown"), lock, connection, clock=clock)
        self.url = url_of(folder.path)
        self._index = Index(self._reader)
        self._looking: Job | None = None
        self._watcher = Watcher(folder, self._noticed)

    def _new_writer(self, address: Address, connection: sqlite3.Connection) -> Writer:
        self._files_writer = MarkdownWriter(
            self._folder,
            self._journal,
            connection=connection,
            lock=self._lock,
            path=address.path,
            clock=self._clock,
            loop=self._loop,
            changed=self._changed,
            terms=address.terms,
        )
        return self._files_writer

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        with self._reading():
            stale = MarkdownView(self._reader, self._clock(), self._folder).stale(kind.kind, keys)
        if stale:
            await self._take_up(stale)
        with self._reading():
            view = SqliteView(self._reader, self._clock())
            return [self._sound(kind, key, record) for key, record in zip(keys, view.get_all(kind, keys), strict=True)]

    def _sound(self, kind: type[R], key: str, record: R | None) -> R | None:
        """The record. Raises StoreDamaged where there is none because its file is broken."""
        rows = self._index.rows_of(kind.kind, key) if record is None else []
        if rows and rows[0].fault is not None:
            raise damaged(self._folder.path / rows[0].name, rows[0].fault)
        return record

    async def stats(self) -> Stats:
        counted, size = await super().stats(), await self._list(lambda connection: Index(connection).size())
        return replace(counted, bytes=(counted.bytes or 0) + size + self._folder.log_size())

    async def catch_up(self) -> None:
        """Take up everything that was done to the files while nobody looked."""
        with self._reading():
            changed = await to_thread.run_sync(differing, self._folder, self._index)
        if changed:
            await self._take_up(changed)

    async def _take_up(self, names: Sequence[str]) -> None:
        await self._submit(lambda view: _look(view, names))

    def _noticed(self, names: Sequence[str]) -> None:
        """What the watcher found. In its thread."""
        if self._looking is None or self._looking.promise.settled:
            self._looking = self._writer.write_soon(lambda view: _look(view, names))

    def _close(self) -> None:
        self._watcher.stop()
        self._writer.finish()
        try:
            with translated(self._folder.path, self._folder.index), self._lock.held():
                self._files_writer.flush_own()
        except StoreError as error:
            log.warning("closing %s: %s", self._folder.path, error)
        super()._close()
        self._journal.close()

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.url)


def _look(view: SqliteView, names: Sequence[str]) -> None:
    """A rule that changes nothing, but has these files taken up before it ends."""
    assert isinstance(view, MarkdownView)
    view.look_at([name for name in names if name != LOG_NAME])
