"""The lanes of the relay: which events each of them tells of, and to whom.

Each lane goes its own pace, with a cursor of its own: a queue that is full holds up nobody but its own lane.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from mycelium import Mycelium
from mycelium.models import AGENTS, TASKS, USERS, WORKFLOWS, Event, Task, Workflow
from mycelium_messaging.history import history_of
from mycelium_messaging.outgoing import (
    COORDINATED,
    Outgoing,
    announcement,
    letter,
    notification,
    response,
    system_event,
    task_report,
    workflow_report,
)

SYSTEM: Final = "system:events"
"""The channel of what concerns everybody."""
CHANNELS: Final = (TASKS, AGENTS, WORKFLOWS, SYSTEM, USERS)
"""What the lanes read."""
MAY_BE_READY: Final = frozenset(
    {"task.created", "task.ready", "task.released", "task.expired", "task.retrying", "task.edited", "task.adopted"}
)
"""After these a task may be there for anybody to claim."""
OUTCOMES: Final = frozenset({"task.completed", "task.failed", "task.cancelled", "task.skipped"})
REPORTED: Final = OUTCOMES | {"task.started"}
WORKFLOWS_REPORTED: Final = frozenset(
    {"workflow.created", "workflow.completed", "workflow.failed", "workflow.cancelled"}
)
BY_MESSAGE: Final = "message_id"
"""What the data of an event has that a message brought: it does not go out again."""

Lane: TypeAlias = Callable[[Mycelium, Sequence[Event]], Awaitable[list[Outgoing]]]


async def announce(m: Mycelium, events: Sequence[Event]) -> list[Outgoing]:
    """Tasks that may be claimed: each once for all that these events say of it, if it still may."""
    latest: dict[str, Event] = {}
    for event in events:
        if event.type in MAY_BE_READY and (event.type != "task.created" or event.data.get("ready")):
            latest[_task(event)] = event
        elif event.type == "task.started":
            latest.pop(_task(event), None)
    tasks = await m.backend.get(Task, list(latest))
    return [
        announcement(event, task)
        for event, task in zip(latest.values(), tasks, strict=True)
        if task is not None and to_be_had(task)
    ]


def to_be_had(task: Task) -> bool:
    """Whether nothing is missing but somebody to claim it. One that waits for its time is told of again then."""
    return task.unhindered and not task.holds_work and task.not_before is None


async def respond(m: Mycelium, events: Sequence[Event]) -> list[Outgoing]:
    """What became of tasks."""
    return [response(event, task) for event, task in await _with_tasks(m, _of(events, TASKS, OUTCOMES))]


async def park(m: Mycelium, events: Sequence[Event]) -> list[Outgoing]:
    """Tasks that failed for good, each with its history."""
    failed = await _with_tasks(m, _of(events, TASKS, {"task.failed"}))
    return [letter(event, task, await history_of(m, task)) for event, task in failed]


async def tell_everybody(_: Mycelium, events: Sequence[Event]) -> list[Outgoing]:
    """What concerns everybody: events of the system, and agents that come, go or are in trouble."""
    own = [event for event in events if event.channel == SYSTEM and BY_MESSAGE not in event.data]
    return [system_event(event) for event in [*own, *_of(events, AGENTS, {"agent.status", "agent.removed"})]]


async def notify(_: Mycelium, events: Sequence[Event]) -> list[Outgoing]:
    """What people are to be told."""
    return [notification(event) for event in _of(events, USERS, {"user.notification"})]


async def report(m: Mycelium, events: Sequence[Event]) -> list[Outgoing]:
    """How coordinated workflows, and the tasks in them, stand."""
    parts = [event for event in _of(events, TASKS, REPORTED) if "workflow_id" in event.data]
    reports = {
        event.seq: task_report(event, task)
        for event, task in await _with_tasks(m, parts)
        if COORDINATED in task.payload
    }
    for event in _of(events, WORKFLOWS, WORKFLOWS_REPORTED):
        (workflow,) = await m.backend.get(Workflow, [str(event.data["workflow_id"])])
        if workflow is not None and COORDINATED in workflow.metadata:
            tasks = [task for task in await m.backend.get(Task, workflow.tasks) if task is not None]
            reports[event.seq] = workflow_report(event, workflow, tasks)
    return [reports[seq] for seq in sorted(reports)]


LANES: Final[Mapping[str, Lane]] = MappingProxyType(
    {
        "tasks": announce,
        "responses": respond,
        "letters": park,
        "system": tell_everybody,
        "notifications": notify,
        "coordination": report,
    }
)


def _of(events: Sequence[Event], channel: str, types: frozenset[str] | set[str]) -> list[Event]:
    return [event for event in events if event.channel == channel and event.type in types]


async def _with_tasks(m: Mycelium, events: Sequence[Event]) -> list[tuple[Event, Task]]:
    """Each event with the task that it is about, where that is still there."""
    if not events:
        return []
    tasks = await m.backend.get(Task, [_task(event) for event in events])
    return [(event, task) for event, task in zip(events, tasks, strict=True) if task is not None]


def _task(event: Event) -> str:
    return cast("str", event.data["task_id"])
