"""Pauses between attempts to reach what is away."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

import anyio

from mycelium.errors import BackendUnavailable, Conflict, StoreFull, StoreLocked, StoreReadOnly

T = TypeVar("T")

log = logging.getLogger("mycelium.worker")

PASSING: Final = (BackendUnavailable, StoreLocked, StoreFull, StoreReadOnly, Conflict)
"""What others, or time, may mend."""
FIRST: Final = 0.1
LONGEST: Final = 5.0


def pauses() -> Iterator[float]:
    """Seconds: each about twice the last, and no two workers' the same."""
    pause = FIRST
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 2, LONGEST)


async def insist(call: Callable[[], Awaitable[T]], *, what: str) -> T:
    """Call until the store takes it, or refuses it for good. Cancel it to give up.

    Whoever has an outcome to tell can do nothing better while the store is away: there is nothing to claim either,
    and a lease that has run out is still good as long as nobody has claimed the task.
    """
    for tried, pause in enumerate(pauses()):
        try:
            return await call()
        except PASSING as error:
            log.log(logging.INFO if tried else logging.WARNING, "%s: will be tried again: %s", what, error)
        await anyio.sleep(pause)
    raise AssertionError("pauses never end")
