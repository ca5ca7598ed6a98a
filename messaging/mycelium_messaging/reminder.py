"""Tasks that have been there to be claimed for long are announced again: a message may expire before it is read."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from mycelium import Mycelium
from mycelium.models import TASKS, Event, Task, TaskQuery
from mycelium_messaging.lanes import to_be_had
from mycelium_messaging.outgoing import Outgoing, announcement, store_of

EVERY: Final = timedelta(minutes=10)
"""How long a task waits until it is announced again."""
PAGE: Final = 200


class Reminder:
    """Walks through the ready tasks once in a while, a page at a time."""

    def __init__(self, m: Mycelium) -> None:
        self._m = m
        self._next_at = time.monotonic() + EVERY.total_seconds()
        self._until: datetime | None = None
        self._cursor: str | None = None
        self._round = 0

    def remind(self, until: datetime) -> None:
        """Begin a round now, with the tasks that have been there since before that time."""
        self._until, self._cursor, self._round = until, None, self._round + 1

    @property
    def between_rounds(self) -> bool:
        """Whether every round that was begun has come to its end."""
        return self._until is None

    async def due(self) -> list[Outgoing]:
        """What is to be announced again now; mostly nothing."""
        if self._until is None:
            if time.monotonic() < self._next_at:
                return []
            self.remind(datetime.now(UTC) - EVERY)
        page = await self._m.backend.find(TaskQuery(ready=True, limit=PAGE, cursor=self._cursor))
        tasks = [task for task in page.records if to_be_had(task) and self._until and task.updated_at < self._until]
        self._cursor = page.cursor
        if page.cursor is None:
            self._until, self._next_at = None, time.monotonic() + EVERY.total_seconds()
        if not tasks:
            return []
        (newest,) = (await self._m.latest_events(limit=1)).events
        return [announcement(self._stand_in(store_of(newest), task), task) for task in tasks]

    def _stand_in(self, store: str, task: Task) -> Event:
        """What stands for the event that made this task ready, with an id of its own."""
        id = f"{store}-again.{self._round}.{task.id.replace('-', '.')}"
        return Event.model_construct(seq=0, id=id, channel=TASKS, type="task.ready", source=None, time=task.updated_at)
