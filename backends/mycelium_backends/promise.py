"""What a caller waits for, and gets even if it is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Generic, TypeVar, cast

import anyio

T = TypeVar("T")


class Promise(Generic[T]):
    """The outcome of one caller's wish, which is waited for in `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._told = loop.create_future()
        self._result: T | None = None
        self._error: Exception | None = None
        self.settled = False

    async def outcome(self) -> T:
        """What it was fulfilled with; raises what it failed with.

        Cancellation does not cut this short, since the caller has to learn what became of its wish: it is delivered
        at the caller's next checkpoint. That holds for asyncio's own as for anyio's.
        """
        try:
            await self._told
        except asyncio.CancelledError as cancelled:
            await self._outlast()
            _cancel_again(cancelled)
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def fulfil(self, result: T) -> None:
        """Tell the caller. In its event loop, once."""
        self._result = result
        self._settle()

    def fail(self, error: Exception) -> None:
        """Tell the caller that it went wrong. In its event loop, once."""
        self._error = error
        self._settle()

    def _settle(self) -> None:
        self.settled = True
        if not self._told.done():
            self._told.set_result(None)

    async def _outlast(self) -> None:
        with anyio.CancelScope(shield=True):
            while not self.settled:
                self._told = self._loop.create_future()
                with suppress(asyncio.CancelledError):
                    await self._told


def _cancel_again(cancelled: asyncio.CancelledError) -> None:
    """Have the present task cancelled at its next checkpoint, as it was just now."""
    if anyio.current_effective_deadline() == -math.inf:
        return  # by a scope of anyio's, which does so by itself, and only within the scope
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    task.cancel(*cancelled.args)
