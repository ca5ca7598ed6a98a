"""How long a client's calls take in its store."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

from mycelium.backend import Backend, Committed, Grant
from mycelium.models import ClaimRequest, Event, EventQuery, Page, Query, Record, Task
from mycelium.rules import Rule

T = TypeVar("T")
R = TypeVar("R", bound=Record)

REMEMBERED: Final = 1000
"""Calls over which the average is taken."""


class Meter:
    """A backend whose reads, writes and claims are timed; all else goes straight to the one within."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._taken: deque[float] = deque(maxlen=REMEMBERED)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @property
    def average(self) -> float | None:
        """Milliseconds that the last thousand calls took, on average; None before the first."""
        return 1000 * sum(self._taken) / len(self._taken) if self._taken else None

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        return await self._timed(self._backend.get(kind, keys))

    async def find(self, query: Query[R]) -> Page[R]:
        return await self._timed(self._backend.find(query))

    async def commit(self, rule: Rule[T]) -> Committed[T]:
        return await self._timed(self._backend.commit(rule))

    async def claim(self, request: ClaimRequest, grant: Grant) -> Committed[Task] | None:
        return await self._timed(self._backend.claim(request, grant))

    async def events(self, query: EventQuery) -> list[Event]:
        return await self._timed(self._backend.events(query))

    async def _timed(self, call: Awaitable[T]) -> T:
        begun = time.perf_counter()
        try:
            return await call
        finally:
            self._taken.append(time.perf_counter() - begun)
