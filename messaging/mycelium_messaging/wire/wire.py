"""A connection that is open: its channels, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio

from mycelium_messaging.wire.channel import Channel
from mycelium_messaging.wire.cut import CLOSING, Cut, cut_by
from mycelium_messaging.wire.waits import Pika, Waits


class Wire:
    """One connection, open from the start."""

    def __init__(self, connection: Pika, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._waits = Waits(patience)
        self._gone = anyio.Event()
        self._why: Cut | None = None
        self._blocked: asyncio.TimerHandle | None = None
        self._when_stalled: list[Callable[[], None]] = []
        self.stalled = ""
        """Why the broker has not taken what is published for longer than our patience; empty while it does."""
        connection.add_on_close_callback(self._closed)
        connection.add_on_connection_blocked_callback(self._block)
        connection.add_on_connection_unblocked_callback(self._unblock)

    @property
    def usable(self) -> bool:
        return bool(self._connection.is_open)

    def _closed(self, _connection: Pika, reason: BaseException) -> None:
        self._waits.end(self._why or cut_by(reason))
        if self._blocked is not None:
            self._blocked.cancel()
        self._gone.set()

    def when_stalled(self, tell: Callable[[], None]) -> None:
        """Have this called whenever `stalled` changes."""
        self._when_stalled.append(tell)

    def _block(self, _connection: Pika, frame: Pika) -> None:
        """The broker reads no more of this connection; it says so to whoever publishes."""
        if self._blocked is None:
            self._blocked = asyncio.get_running_loop().call_later(
                self._patience, self._stall, str(frame.method.reason) or "it does not say why"
            )

    def _unblock(self, _connection: Pika, _frame: Pika) -> None:
        if self._blocked is not None:
            self._blocked.cancel()
            self._blocked = None
        if self.stalled:
            self._stall("")

    def _stall(self, why: str) -> None:
        self.stalled = why
        for tell in self._when_stalled:
            tell()

    async def gone(self) -> Cut:
        """Return when it is gone, with the reason."""
        await self._gone.wait()
        return self._waits.cut or Cut(0, "closed")

    async def open_channel(self) -> Channel:
        (channel,) = await self._waits.answer(lambda done: self._connection.channel(on_open_callback=done))
        return Channel(channel, self._patience)

    def close_soon(self, why: Cut | None = None) -> None:
        """Close it; `why` is told to whoever asks what has ended it."""
        if self._connection.is_open:
            self._why = why
            self._connection.close()

    async def close(self) -> None:
        """Close it, after all that was sent by it has arrived."""
        self.close_soon()
        with anyio.move_on_after(CLOSING):
            await self._gone.wait()
            return
        self._connection._adapter_disconnect_stream()  # noqa: SLF001  pika would wait for a goodbye for ever
        await self._gone.wait()
