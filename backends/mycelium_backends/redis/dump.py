"""Everything, as it is at one moment, read in parts from a copy that the server makes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final
from uuid import uuid4

from mycelium.models import Agent, Event, Record, Task, Trigger, Workflow
from mycelium_backends.redis.connection import Connection
from mycelium_backends.redis.errors import unavailable
from mycelium_backends.redis.learn import parsed
from mycelium_backends.redis.scripts import SCHEMA, script

CHUNK: Final = 100
"""Records that are read at a time; each may have a few megabytes."""
KEPT: Final = 600
"""Seconds without a read after which the server removes the copy of a reader that has gone."""
PARTS: Final = ("task", "agent", "workflow", "trigger", "tasks", "agents", "workflows", "triggers", "seq")
"""What the copy consists of: the records of each kind, their order, and the number of the last event."""


async def dump(connection: Connection, prefix: str) -> AsyncGenerator[Record | Event]:
    """See `mycelium.backend.Backend.dump`.

    Raises:
        BackendUnavailable: the copy has gone before it was read whole.
    """
    name = uuid4().hex
    last_seq = int(await connection.run(script("copy"), SCHEMA, name, KEPT))
    copy = f"{prefix}store:copy:{name}:"
    try:
        for kind in (Agent, Workflow, Trigger, Task):
            async for body in _records(connection, copy, kind.kind):
                yield parsed(kind, body)
        async for event in _events(connection, f"{prefix}events", last_seq):
            yield event
    finally:
        await connection.command("UNLINK", *(f"{copy}{part}" for part in PARTS))


async def _records(connection: Connection, copy: str, kind: str) -> AsyncGenerator[bytes]:
    first = 0
    while keys := await connection.command("ZRANGE", f"{copy}{kind}s", first, first + CHUNK - 1):
        for body in await connection.command("HMGET", f"{copy}{kind}", *keys):
            if body is None:
                raise unavailable(connection.url, "the copy that was being read has gone; begin again")
            yield body
        for part in PARTS:
            await connection.command("EXPIRE", f"{copy}{part}", KEPT)
        first += CHUNK
    if not await connection.command("EXISTS", f"{copy}seq"):
        raise unavailable(connection.url, "the copy that was being read has gone; begin again")


async def _events(connection: Connection, log: str, last_seq: int) -> AsyncGenerator[Event]:
    after = 0
    while after < last_seq:
        entries: Any = await connection.command("XRANGE", log, f"({after}", str(last_seq), "COUNT", CHUNK)
        if not entries:
            return
        for at, fields in entries:
            after = int(at.partition(b"-")[0])
            yield parsed(Event, fields[b"event"])
