"""What the log tells of one task."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import TASKS, EventQuery, Task

MOST: Final = 50
"""Events of one history."""
PAGE: Final = 1000
LOOKED_THROUGH: Final = 20_000
"""Events of all tasks that are looked through for those of one."""
SLACK: Final = timedelta(seconds=30)
"""Clocks differ by so much: the log's times need not grow with its numbers exactly."""


async def history_of(m: Mycelium, task: Task) -> list[JsonValue]:
    """The last events of a task, oldest first: what happened, when, and by whom."""
    found: list[JsonValue] = []
    after, looked = await last_before(m, task.created_at - SLACK), 0
    while looked < LOOKED_THROUGH:
        events = await m.backend.events(EventQuery(after=after, channels=(TASKS,), limit=PAGE))
        for event in events:
            if event.data.get("task_id") == task.id:
                rest = {name: value for name, value in event.data.items() if name not in {"task_id", "task_type"}}
                found.append({"type": event.type, "time": event.time.isoformat(), "source": event.source, **rest})
        if len(events) < PAGE:
            break
        after, looked = events[-1].seq, looked + len(events)
    return found[-MOST:]


async def last_before(m: Mycelium, time: datetime, within: int = PAGE) -> int:
    """The number of an event from before that time, at most `within` before the last one, found by halving the log."""
    low, high = 0, await m.backend.last_seq()
    while high - low > within:
        middle = (low + high) // 2
        events = await m.backend.events(EventQuery(after=middle, limit=1))
        if events and events[0].time < time:
            low = middle
        else:
            high = middle
    return low
