"""The Redis backend: what the seam promises, kept by a server that many machines can reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import anyio

from mycelium.backend import Bell, Clock, Committed, Grant, closed
from mycelium.models import ClaimRequest, Due, Event, EventQuery, Page, Query, Record, Stats, Task
from mycelium.rules import Rule
from mycelium_backends.redis.address import Address, parse
from mycelium_backends.redis.bell import Listener
from mycelium_backends.redis.committer import Committer
from mycelium_backends.redis.connection import Connection
from mycelium_backends.redis.dump import dump
from mycelium_backends.redis.errors import schema
from mycelium_backends.redis.reader import Reader
from mycelium_backends.redis.scripts import OLDER, SCHEMA, script
from mycelium_backends.redis.time import ServerClock

T = TypeVar("T")
R = TypeVar("R", bound=Record)


async def open_backend(url: str, clock: Clock) -> RedisBackend:
    """Open the store of this namespace, making it where there is none.

    Raises:
        UnknownBackend, InvalidInput: the URL is wrong.
        BackendUnavailable: the server cannot be reached, or does not let us in.
        StoreDamaged, SchemaTooNew: it cannot be used.
    """
    address = parse(url)
    connection = Connection(address)
    server_clock = ServerClock(clock)
    try:
        asked_at = server_clock()
        found, store_id, seconds, micros = await connection.run(script("open"), SCHEMA, uuid4().hex[:12], *OLDER)
        _check_schema(address, found.decode())
    except BaseException:
        with anyio.CancelScope(shield=True):
            await connection.aclose()
        raise
    server_clock.correct(datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros)), asked_at)
    return RedisBackend(address, connection, server_clock, store_id.decode())


def _check_schema(address: Address, found: str) -> None:
    if found != SCHEMA:
        raise schema(address.public, found)


class RedisBackend:
    """See `mycelium.backend.Backend`, whose promises these methods keep."""

    mode = "redis"

    def __init__(self, address: Address, connection: Connection, clock: ServerClock, store_id: str) -> None:
        self.url = address.public
        self._prefix = address.prefix
        self._connection = connection
        self._reader = Reader(connection, clock)
        self._committer = Committer(connection, self._reader, clock, store_id)
        self._listener = Listener(connection, f"{address.prefix}store:changes")
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        self._check_open()
        return await self._reader.get(kind, keys)

    async def find(self, query: Query[R]) -> Page[R]:
        self._check_open()
        return await self._reader.find(query)

    async def commit(self, rule: Rule[T]) -> Committed[T]:
        with self._writing():
            return await self._committer.commit(rule)

    async def claim(self, request: ClaimRequest, grant: Grant) -> Committed[Task] | None:
        with self._writing():
            return await self._committer.claim(request, grant)

    async def waiting_on(self, task_id: str, limit: int) -> list[str]:
        self._check_open()
        return await self._reader.waiting_on(task_id, limit)

    async def events(self, query: EventQuery) -> list[Event]:
        self._check_open()
        return await self._reader.events(query)

    async def last_seq(self) -> int:
        self._check_open()
        return await self._reader.last_seq()

    async def due(self, limit: int) -> Due:
        self._check_open()
        return await self._reader.due(limit)

    async def dump(self) -> AsyncGenerator[Record | Event]:
        self._check_open()
        async for each in dump(self._connection, self._prefix):
            self._check_open()
            yield each

    @asynccontextmanager
    async def changes(self) -> AsyncGenerator[Bell]:
        self._check_open()
        async with self._listener.hang() as bell:
            yield bell

    async def stats(self) -> Stats:
        self._check_open()
        return await self._reader.stats(self.mode)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            while self._under_way:
                self._idle.clear()
                await self._idle.wait()
            await self._reader.finish()
            await self._listener.aclose()
            await self._connection.aclose()

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Closing waits for what goes on in this block: a change may take several journeys."""
        self._check_open()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.url)
