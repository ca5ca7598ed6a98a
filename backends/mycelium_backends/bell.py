"""Bells within one event loop; what reaches other processes is the backend's own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio


class LocalBell:
    """One waiter's bell. A ring between two waits is remembered."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung = anyio.Event()


class Bells:
    """All bells that hang in this event loop."""

    def __init__(self) -> None:
        self._bells: set[LocalBell] = set()

    def __bool__(self) -> bool:
        return bool(self._bells)

    @contextmanager
    def hang(self) -> Generator[LocalBell]:
        """A bell for the time of this context."""
        bell = LocalBell()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)

    def ring(self) -> None:
        for bell in self._bells:
            bell.ring()
