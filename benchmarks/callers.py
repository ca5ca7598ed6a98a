"""A hundred callers at once, and what a call of theirs takes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

CALLERS: Final = 100
CALLS: Final = 10_000


async def rate(call: Callable[[int], Awaitable[object]]) -> float:
    """Calls in a second. Each is told its number."""
    numbers = iter(range(CALLS))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    begun = time.perf_counter()
    async with anyio.create_task_group() as callers:
        for _ in range(CALLERS):
            callers.start_soon(caller)
    return CALLS / (time.perf_counter() - begun)
