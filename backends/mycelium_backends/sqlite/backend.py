"""The SQLite backend: what the seam promises, kept by one writing thread and readers that never wait."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
from anyio import to_thread

from mycelium.backend import Bell, Clock, Committed, Grant, closed
from mycelium.errors import StoreError
from mycelium.models import ClaimRequest, Due, Event, EventQuery, Page, Query, Record, Stats, Task, TaskQuery
from mycelium.rules import Change, Rule
from mycelium_backends.sqlite import connection as connections
from mycelium_backends.sqlite.doorbell import Doorbell
from mycelium_backends.sqlite.errors import translated
from mycelium_backends.sqlite.find import find, read_all, read_due, read_events, read_stats
from mycelium_backends.sqlite.lock import FileLock
from mycelium_backends.sqlite.schema import migrate
from mycelium_backends.sqlite.url import Address, address_of
from mycelium_backends.sqlite.view import SqliteView
from mycelium_backends.sqlite.writer import Decide, Writer

log = logging.getLogger("mycelium.sqlite")

T = TypeVar("T")
R = TypeVar("R", bound=Record)

SHORT = 100
"""Records that are read at most in the event loop."""
CHUNK = 200
"""Records that a dump reads at a time."""


async def open_backend(url: str, clock: Clock) -> SqliteBackend:
    """Open the store in this file, making it, and its folder, where there is none.

    Raises:
        UnknownBackend: the URL names no file.
        InvalidInput: a term in it is wrong.
        StoreDamaged, StoreReadOnly, StoreLocked, SchemaTooNew, BackendUnavailable: it cannot be used.
    """
    address = address_of(url)
    opened = await to_thread.run_sync(_open, address.path)
    return SqliteBackend(address, *opened, clock=clock)


def _open(path: Path) -> tuple[FileLock, sqlite3.Connection]:
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connections.inspect(path)
        lock = FileLock(path)
        try:
            with lock.held():
                connection = connections.writer(path)
                migrate(connection, path)
        except BaseException:
            lock.close()
            raise
        return lock, connection


class SqliteBackend:
    """See `mycelium.backend.Backend`, whose promises these methods keep.

    Point reads, and which tasks an agent holds, run in the event loop: in WAL mode a reader never waits, and one
    takes 10 µs where a thread would cost 60. Listings and counts, which may read much, run in a thread.
    """

    def __init__(self, address: Address, lock: FileLock, connection: sqlite3.Connection, *, clock: Clock) -> None:
        self.mode = address.mode
        self.url = address.url
        self.path = path = address.path
        self._clock = clock
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._reader = connections.reader(path)
        self._lister = connections.reader(path)
        self._listing = anyio.Lock()
        self._dumping: set[sqlite3.Connection] = set()
        self._doorbell = Doorbell(path, self._reader, address.poll_seconds)
        self._writer = self._new_writer(address, connection)
        self._closed = False

    def _new_writer(self, address: Address, connection: sqlite3.Connection) -> Writer:
        return Writer(
            connection,
            self._lock,
            address.path,
            clock=self._clock,
            loop=self._loop,
            changed=self._changed,
            terms=address.terms,
        )

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        with self._reading():
            return SqliteView(self._reader, self._clock()).get_all(kind, keys)

    async def find(self, query: Query[R]) -> Page[R]:
        if _is_short(query):
            with self._reading():
                return find(self._reader, query, self._clock())
        return await self._list(lambda connection: find(connection, query, self._clock()))

    async def commit(self, rule: Rule[T]) -> Committed[T]:
        return cast("Committed[T]", await self._submit(rule))

    async def claim(self, request: ClaimRequest, grant: Grant) -> Committed[Task] | None:
        def decide(view: SqliteView) -> Change[Task] | None:
            task = view.next_ready(request)
            return None if task is None else grant(view, task)

        return await self._submit(decide)

    async def waiting_on(self, task_id: str, limit: int) -> list[str]:
        with self._reading():
            return SqliteView(self._reader, self._clock()).waiting_on(task_id, limit)

    async def events(self, query: EventQuery) -> list[Event]:
        with self._reading():
            return read_events(self._reader, query)

    async def last_seq(self) -> int:
        with self._reading():
            return SqliteView(self._reader, self._clock()).last_seq()

    async def due(self, limit: int) -> Due:
        with self._reading():
            return read_due(self._reader, self._clock(), limit)

    async def dump(self) -> AsyncGenerator[Record | Event]:
        self._check_open()
        with translated(self.path):
            connection = connections.reader(self.path)
        self._dumping.add(connection)
        everything = read_all(connection)
        try:
            while chunk := await self._list(lambda _: _take(everything)):
                for each in chunk:
                    yield each
        finally:
            self._dumping.discard(connection)
            with suppress(sqlite3.ProgrammingError):  # it was closed together with the store
                everything.close()
                connection.close()

    @asynccontextmanager
    async def changes(self) -> AsyncGenerator[Bell]:
        self._check_open()
        with self._doorbell.hang() as bell:
            yield bell

    async def stats(self) -> Stats:
        size = sum(_size(file) for file in self._files())
        counted = await self._list(lambda connection: read_stats(connection, self._clock(), self.url, size))
        return replace(counted, mode=self.mode)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._doorbell.close()
        with anyio.CancelScope(shield=True):
            async with self._listing:
                await to_thread.run_sync(self._close)

    def _close(self) -> None:
        self._writer.finish()
        try:
            # The last connection to close checkpoints, so it does that under the lock like every checkpoint.
            with translated(self.path), self._lock.held():
                self._close_connections()
        except StoreError as error:
            # Everything is durable already. What it is closed after may have failed, and says more than this would.
            log.warning("closing %s without its lock: %s", self.path, error)
            self._close_connections()
        finally:
            self._lock.close()

    def _close_connections(self) -> None:
        for connection in (*self._dumping, self._reader, self._lister, self._writer.connection):
            connection.close()

    async def _submit(self, decide: Decide) -> Committed[Any] | None:
        self._check_open()
        return await self._writer.write(decide)

    async def _list(self, read: Callable[[sqlite3.Connection], T]) -> T:
        self._check_open()
        async with self._listing:
            return await self._in_thread(partial(read, self._lister))

    async def _in_thread(self, read: Callable[[], T]) -> T:
        with translated(self.path):
            return await to_thread.run_sync(read)

    @contextmanager
    def _reading(self) -> Generator[None]:
        self._check_open()
        with translated(self.path):
            yield

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.url)

    def _changed(self) -> None:
        """Ring, here and elsewhere. Called by the writer's thread after each group."""
        self._loop.call_soon_threadsafe(self._doorbell.ring)
        self._doorbell.ring_others()

    def _files(self) -> list[Path]:
        return [self.path.with_name(f"{self.path.name}{suffix}") for suffix in ("", "-wal", "-shm")]


def _is_short(query: Query[Any]) -> bool:
    """Whether it only asks which tasks an agent holds: a few, found by their index, as each look at an agent does."""
    if not isinstance(query, TaskQuery) or query.held_by is None or query.limit > SHORT:
        return False
    return query == TaskQuery(held_by=query.held_by, limit=query.limit)


def _take(everything: Iterator[Record | Event]) -> list[Record | Event]:
    return list(islice(everything, CHUNK))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
