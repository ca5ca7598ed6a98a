"""A bound on how much of something is taken in within a second."""

from __future__ import annotations

import anyio


class Allowance:
    """So much within a second; whoever takes more waits until the second is over, and the other side with it."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._began = float("-inf")
        self._taken = 0

    async def take(self, amount: int) -> None:
        now = anyio.current_time()
        if now - self._began >= 1:
            self._began, self._taken = now, 0
        self._taken += amount
        if self._taken > self._per_second:
            await anyio.sleep(self._began + 1 - now)
