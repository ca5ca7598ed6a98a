"""Tasks straight from the store."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import anyio

from mycelium import Mycelium, MyceliumError
from mycelium.backend import Bell
from mycelium.client.base import system_clock
from mycelium.errors import NotClaimable
from mycelium.models import Task

log = logging.getLogger("mycelium.worker")

LOOK_AGAIN: Final = 10.0
"""Seconds until a look that no ring asked for."""
PACE: Final = 0.05
"""Seconds from a look that found nothing to the next one. Whatever else this worker does rings the bell, too."""
LONGEST_REST: Final = 30.0
"""Seconds that an agent in error rests at a time: somebody may say that it is well sooner than the store expects."""


@dataclass(frozen=True, slots=True)
class StoreJob:
    """A task that nothing but the store brought."""

    task: Task

    async def settle(self) -> None:
        """The store knows."""

    async def give_back(self) -> None:
        """The store has it until its lease ends."""


class StoreSource:
    """Claims the most urgent, oldest task that fits. Waits for the store's bell where there is none."""

    name = "store"

    def __init__(
        self,
        client: Mycelium,
        bell: Bell,
        *,
        types: Callable[[], Sequence[str] | None] = lambda: (),
        queues: Sequence[str] = (),
        lease_seconds: float = 60.0,
        addressed_only: bool = False,
    ) -> None:
        self.empty = False
        self.connected = True
        self.buried: Mapping[str, int] = {}  # what is in the store was checked on its way in
        self._client = client
        self._bell = bell
        self._types, self._queues = types, tuple(queues)
        self._lease_seconds = lease_seconds
        self._addressed_only = addressed_only
        self._looked = False
        self._found_none_at = float("-inf")
        self._rest = 0.0
        self._told = False
        self._drained = False

    async def ready(self) -> None:
        """At once for the first time; then at the next ring, or after a while."""
        if self._drained:
            await anyio.sleep_forever()
        if self._rest:
            await anyio.sleep(self._rest)
        elif self._looked:
            with anyio.move_on_after(LOOK_AGAIN * random.uniform(0.8, 1.2)):
                await self._bell.wait()
            await anyio.sleep(max(0.0, self._found_none_at + PACE - time.monotonic()))
        self._looked, self._rest = True, 0.0

    async def take(self) -> StoreJob | None:
        """Claim the next task. None also while this agent is to get nothing. Raises as `Mycelium.claim_task`."""
        if self._drained:
            return None
        if (types := self._types()) is None:
            self.empty, self._found_none_at = True, time.monotonic()
            return None
        try:
            task = await self._client.claim_task(
                types=types,
                queues=self._queues,
                lease_seconds=self._lease_seconds,
                addressed=self._addressed_only,
            )
        except NotClaimable as refusal:
            self._refused(refusal)
            return None
        except MyceliumError:
            self.connected = False
            raise
        self.connected = True
        self.empty = task is None
        if task is None:
            self._found_none_at = time.monotonic()
            return None
        self._told = False
        return StoreJob(task)

    async def drain(self) -> None:
        """Bring nothing more; nothing was fetched."""
        self._drained = True

    def _refused(self, refusal: NotClaimable) -> None:
        """There is work, but not for this agent now: it is in error, or its hands are full."""
        self.empty = False
        if refusal.data.get("status") == "error":
            self._rest = _until(refusal.data.get("recovers_at"))
        if not self._told:
            self._told = True
            log.warning("nothing is claimed for now: %s", refusal)


def _until(recovers_at: object) -> float:
    if not isinstance(recovers_at, str):
        return LONGEST_REST
    seconds = (datetime.fromisoformat(recovers_at) - system_clock()).total_seconds()
    return min(max(seconds, 1.0), LONGEST_REST)


@asynccontextmanager
async def open_store_source(
    client: Mycelium,
    *,
    types: Sequence[str] | Callable[[], Sequence[str] | None] = (),
    queues: Sequence[str] = (),
    lease_seconds: float = 60.0,
    addressed_only: bool = False,
) -> AsyncGenerator[StoreSource]:
    """Bring tasks of these `types` from these `queues` (none: any) for the time of this context.

    A function of `types` is asked at each look: it may name others each time, or None while there is nothing to take.

    `addressed_only` leaves what anybody could do to others: it brings tasks that are assigned to this agent, or that
    need a queue or capabilities.
    """
    async with client.backend.changes() as bell:
        now = types if callable(types) else lambda: types
        yield StoreSource(
            client, bell, types=now, queues=queues, lease_seconds=lease_seconds, addressed_only=addressed_only
        )
