"""What the log tells of single tasks, and where in it a time is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import anyio.lowlevel
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import TASKS, Event, EventQuery, Task

MOST: Final = 50
"""Events of one history."""
PAGE: Final = 250
LOOKED_THROUGH: Final = 5_000
"""Events of all tasks that are looked through for those of a few, the last ones."""
SLACK: Final = timedelta(seconds=30)
"""Clocks differ by so much: the log's times need not grow with its numbers exactly."""


async def histories_of(m: Mycelium, tasks: Sequence[Task]) -> dict[str, list[JsonValue]]:
    """For each of these tasks its last events, oldest first: what happened, when, and by whom."""
    histories: dict[str, list[JsonValue]] = {task.id: [] for task in tasks}
    if not tasks:
        return histories
    first = await last_before(m, min(task.created_at for task in tasks) - SLACK, within=PAGE)
    after = max(first, await m.last_seq() - LOOKED_THROUGH)
    while True:
        events = await m.backend.events(EventQuery(after=after, channels=(TASKS,), limit=PAGE))
        for event in events:
            if (history := histories.get(str(event.data.get("task_id")))) is not None:
                history.append(_told(event))
        if len(events) < PAGE:
            return {key: history[-MOST:] for key, history in histories.items()}
        after = events[-1].seq
        await anyio.lowlevel.checkpoint()  # others have something to do, too


def _told(event: Event) -> JsonValue:
    rest = {name: value for name, value in event.data.items() if name not in {"task_id", "task_type"}}
    return {"type": event.type, "time": event.time.isoformat(), "source": event.source, **rest}


async def last_before(m: Mycelium, time: datetime, within: int) -> int:
    """The number of an event from before that time, less than `within` before the last such, by halving the log."""
    low, high = 0, await m.last_seq()
    while high - low >= within:
        middle = (low + high) // 2
        events = await m.backend.events(EventQuery(after=middle, limit=1))
        if events and events[0].time < time:
            low = events[0].seq
        else:
            high = middle
    return low
