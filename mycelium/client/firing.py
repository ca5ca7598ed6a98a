"""Asking triggers about what has happened: the events since, and the statistics now."""

from __future__ import annotations

import time
from typing import Final

from mycelium import rules
from mycelium.backend import Backend
from mycelium.client.ids import new_id
from mycelium.models import TRIGGERS, Event, EventQuery, Stats, Trigger, TriggerQuery

READ: Final = 500
"""Events in one look."""
STATISTICS_EVERY: Final = 2.0
"""Seconds between two looks at the statistics, where a trigger waits on one."""

CHANGES: Final = frozenset(
    {"trigger.created", "trigger.started", "trigger.stopped", "trigger.removed", "trigger.edited", "trigger.adopted"}
)
"""Events that tell of other triggers than before."""


def trigger_id() -> str:
    """For what a trigger makes: as unique and as ordered as all new ids."""
    return new_id("x").removeprefix("x-")


class Firing:
    """Lets the triggers of a store fire. Only the housekeeper uses it; two at once do no harm."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._active: list[Trigger] | None = None
        self._as_of = 0
        """The last event when they were read."""
        self._looked_at = float("-inf")

    @property
    def listens(self) -> bool:
        """Whether a trigger waits on events."""
        return any(map(_waits_on_events, self._active or ()))

    def forget(self) -> None:
        """Read the triggers anew."""
        self._active, self._looked_at = None, float("-inf")

    async def for_events(self, after: int) -> tuple[int, int]:
        """Ask about the events after this one. How far it read, and how many triggers fired."""
        fired = 0
        if self._active is None:
            self._active = await self._read()
        # While no trigger waits on events, only what tells of new ones is read.
        waiting = [trigger.seq for trigger in self._active if _waits_on_events(trigger)]
        after = max(after, min(waiting, default=after))
        while events := await self._backend.events(self._wanted(after)):
            for event in events:
                after = event.seq
                if event.seq > self._as_of and event.channel == TRIGGERS and event.type in CHANGES:
                    self._active = await self._read()
                    break
                fired += await self._for_event(event)
        return after, fired

    def _wanted(self, after: int) -> EventQuery:
        return EventQuery(after=after, channels=() if self.listens else (TRIGGERS,), limit=READ)

    async def _for_event(self, event: Event) -> int:
        matching = [trigger.id for trigger in self._active or () if rules.matches(trigger, event)]
        return sum([await self._fire(id, event) for id in matching])

    async def _fire(self, key: str, event: Event) -> bool:
        id = trigger_id()
        return (await self._backend.commit(lambda view: rules.fire_for_event(view, key, event, id=id))).result

    async def for_statistics(self) -> int:
        """Ask about the statistics, from time to time. How many triggers fired."""
        waiting = [trigger for trigger in self._active or () if trigger.when.statistic is not None]
        if not waiting or time.monotonic() - self._looked_at < STATISTICS_EVERY:
            return 0
        self._looked_at = time.monotonic()
        stats = await self._backend.stats()
        return sum([await self._measured(trigger, stats) for trigger in waiting])

    async def _measured(self, trigger: Trigger, stats: Stats) -> bool:
        wanted, id = trigger.when.statistic, trigger_id()
        value = None if wanted is None else rules.statistic(stats, wanted.statistic)
        if value is None:
            return False
        committed = await self._backend.commit(lambda view: rules.fire_on_statistic(view, trigger.id, value, id=id))
        return committed.result

    async def _read(self) -> list[Trigger]:
        """All triggers that may fire for an event or a statistic; schedules come due by themselves."""
        self._as_of = await self._backend.last_seq()
        found: list[Trigger] = []
        cursor: str | None = None
        while True:
            page = await self._backend.find(TriggerQuery(status="active", limit=1000, cursor=cursor))
            found += [trigger for trigger in page.records if trigger.when.schedule is None]
            cursor = page.cursor
            if cursor is None:
                return found


def _waits_on_events(trigger: Trigger) -> bool:
    return trigger.when.event is not None or trigger.when.agent is not None
