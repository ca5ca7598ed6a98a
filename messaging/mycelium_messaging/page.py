"""A part of the log with the tasks that it is about, each read once for all lanes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Final, cast

from mycelium import Mycelium
from mycelium.models import TASKS, Event, Task

MAY_BE_READY: Final = frozenset(
    {"task.created", "task.ready", "task.released", "task.expired", "task.retrying", "task.edited", "task.adopted"}
)
"""After these a task may be there for anybody to claim."""
OUTCOMES: Final = frozenset({"task.completed", "task.failed", "task.cancelled", "task.skipped"})


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, oldest first, and the tasks that lanes ask about."""

    m: Mycelium
    events: Sequence[Event]
    ready: Mapping[str, Event]
    """By task, the last event after which it may be there for anybody, and has not begun as far as these tell."""
    tasks: Mapping[str, Task]
    by_type: Mapping[tuple[str, str], Sequence[Event]]
    """The events by their channel and type: each lane looks at a few of them only."""

    @classmethod
    async def of(cls, m: Mycelium, events: Sequence[Event]) -> Page:
        """The page of these events."""
        ready = _ready(events)
        asked = dict.fromkeys([*ready, *(task_of(event) for event in events if _is_asked_about(event))])
        found = await m.backend.get(Task, list(asked)) if asked else []
        tasks = {task.id: task for task in found if task is not None}
        return cls(m, events, ready, tasks, _by_type(events))

    def of_type(self, channel: str, types: AbstractSet[str]) -> list[Event]:
        found = chain.from_iterable(self.by_type.get((channel, type), ()) for type in types)
        return sorted(found, key=lambda event: event.seq)

    def with_tasks(self, events: Iterable[Event]) -> list[tuple[Event, Task]]:
        """Each event with the task that it is about, where that is still there."""
        pairs = ((event, self.tasks.get(task_of(event))) for event in events)
        return [(event, task) for event, task in pairs if task is not None]


def _by_type(events: Sequence[Event]) -> dict[tuple[str, str], list[Event]]:
    found: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        found.setdefault((event.channel, event.type), []).append(event)
    return found


def _ready(events: Sequence[Event]) -> dict[str, Event]:
    latest: dict[str, Event] = {}
    for event in events:
        if event.channel != TASKS:
            continue
        if event.type in MAY_BE_READY and (event.type != "task.created" or event.data.get("ready")):
            latest[task_of(event)] = event
        elif event.type == "task.started":
            latest.pop(task_of(event), None)
    return latest


def _is_asked_about(event: Event) -> bool:
    if event.channel != TASKS:
        return False
    return event.type in OUTCOMES or (event.type == "task.started" and "workflow_id" in event.data)


def task_of(event: Event) -> str:
    """The id of the task that an event is about."""
    return cast("str", event.data["task_id"])
