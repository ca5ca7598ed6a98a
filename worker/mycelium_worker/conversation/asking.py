"""Asking a model with patience: what passes is waited out, as long as there is time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from mycelium_worker.executor import NotHere, TaskFailed
from mycelium_worker.model import Busy, Rejected, Turn, Unusable

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds. Where the provider does not say how long, each wait is twice the one before."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Time, as a test may want it otherwise. `jitter` gives 0 to 1."""

    now: Callable[[], float] = anyio.current_time
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    jitter: Callable[[], float] = random.random


async def ask_patiently(
    ask: Callable[[], Awaitable[Turn]],
    *,
    seconds_left: Callable[[], float],
    told: Callable[[str, float, int], Awaitable[None]],
    pace: Pace,
) -> Turn | None:
    """The turn, however often it has to be asked for, or None when the time is used up.

    Each wait is `told`: the reason, its seconds, and how often it was tried.

    Raises:
        NotHere: the model answers nobody.
        TaskFailed: it stays busy for longer than there is time, or rejects what it is asked.
    """
    tries = 0
    while True:
        try:
            with anyio.move_on_after(seconds_left()):
                return await ask()
            return None
        except Unusable as unusable:
            raise NotHere(f"The model cannot be asked: {unusable}", code=unusable.code) from unusable
        except Rejected as rejected:
            raise TaskFailed(f"The model cannot be asked: {rejected}", code=rejected.code, retry=False) from rejected
        except Busy as busy:
            tries += 1
            wait = wait_after(tries, busy.retry_after, pace.jitter())
            if wait >= seconds_left():
                raise TaskFailed(
                    f"The model is busy, and there is no time left to wait: {busy}", code="model_busy", tries=tries
                ) from busy
            await told(str(busy), wait, tries)
            await pace.sleep(wait)


def wait_after(tries: int, asked: float | None, jitter: float) -> float:
    """Seconds until the next try: what the provider asked for and a little more, else longer each time."""
    if asked is not None:
        return asked + jitter * min(1.0, 0.1 * asked)
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(tries - 1, 10)) * (0.5 + jitter / 2)
