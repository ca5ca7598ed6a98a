"""A client that is closed by a call, for programs in which no block lasts as long as it."""

from __future__ import annotations

import asyncio
from typing import Final

import anyio
from anyio.abc import TaskGroup

from mycelium.backend import Backend, Clock
from mycelium.client.client import Mycelium

HOLDERS: Final[set[asyncio.Task[None]]] = set()
"""The tasks that hold clients open. The event loop itself keeps tasks only weakly."""


class Connection(Mycelium):
    """A client that stays open until `close`, or until its event loop ends. Made by `Mycelium.connect`."""

    def __init__(self, backend: Backend, *, agent: str | None, clock: Clock, tasks: TaskGroup) -> None:
        super().__init__(backend, agent=agent, clock=clock, tasks=tasks)
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()
        self._failure: BaseException | None = None

    async def last(self) -> None:
        """Return when it is to be closed."""
        await self._closing.wait()

    async def close(self) -> None:
        """Give back the leases that are left, end subscriptions, and close the store. Twice is once.

        Raises what went wrong in doing so.
        """
        self._closing.set()
        await self._closed.wait()
        if self._failure is not None:
            raise self._failure

    def closed(self, holder: asyncio.Task[None]) -> None:
        """Called when all that has happened."""
        self._failure = None if holder.cancelled() else holder.exception()
        self._closed.set()


async def connect(url: str, *, agent: str | None, clock: Clock, background: bool) -> Connection:
    """See `Mycelium.connect`."""
    opened: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        # A task group must be left in the task that entered it: this one, whoever calls `close`.
        async with Connection.open(url, agent=agent, clock=clock, background=background) as client:
            holder.add_done_callback(client.closed)
            opened.set_result(client)
            await client.last()

    holder = asyncio.create_task(hold())
    HOLDERS.add(holder)
    holder.add_done_callback(HOLDERS.discard)
    try:
        await asyncio.wait([holder, opened], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        holder.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([holder])
        raise
    if not opened.done():
        await holder  # raises why it could not be opened
    return opened.result()
