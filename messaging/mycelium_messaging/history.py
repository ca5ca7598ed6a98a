"""What the log tells of one task."""

from __future__ import annotations

from datetime import timedelta
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
    after, looked = await _before(m, task), 0
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


async def _before(m: Mycelium, task: Task) -> int:
    """The number of an event from before the task was created, found by halving the log."""
    low, high = 0, await m.backend.last_seq()
    while high - low > PAGE:
        middle = (low + high) // 2
        events = await m.backend.events(EventQuery(after=middle, limit=1))
        if events and events[0].time < task.created_at - SLACK:
            low = middle
        else:
            high = middle
    return low
