"""The leases that one client holds, so that callers need not carry tokens nor remember heartbeats."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio

from mycelium.models import Task


@dataclass(slots=True)
class Held:
    """A lease as this client knows it. Times are monotonic seconds."""

    token: int
    seconds: float
    renewed_at: float
    lost: bool = False
    """The store said that it is no longer current: kept, so that a late result is refused by its token."""


class LeaseBook:
    """What this client claimed and has not finished."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self.taken = anyio.Event()
        """Set when there is a lease to renew."""

    def keep(self, task: Task) -> None:
        """Remember the lease that this task shows, or forget it if it has none."""
        if task.lease is None:
            self.drop(task.id)
            return
        self._held[task.id] = Held(task.lease.token, task.lease.seconds, time.monotonic())
        self.taken.set()

    def drop(self, task_id: str) -> None:
        self._held.pop(task_id, None)

    def lose(self, task_id: str) -> bool:
        """Renew it no more. Whether it was held: it may just have been finished."""
        held = self._held.get(task_id)
        if held is not None:
            held.lost = True
        return held is not None

    def token(self, task_id: str, given: int | None) -> int | None:
        """The token to use: the one given, else the one this client holds."""
        held = self._held.get(task_id)
        return given if given is not None or held is None else held.token

    def current(self) -> dict[str, Held]:
        """The leases that are not lost, by task id."""
        return {task_id: held for task_id, held in self._held.items() if not held.lost}

    def to_renew(self) -> list[tuple[str, int]]:
        """Task ids and tokens of the leases of which a third has passed."""
        now = time.monotonic()
        return [
            (task_id, held.token)
            for task_id, held in self.current().items()
            if now - held.renewed_at >= held.seconds / 3
        ]

    def pause(self) -> float:
        """Seconds until the next look at what is to be renewed."""
        return min(1.0, min((held.seconds for held in self.current().values()), default=1.0) / 6)
