"""The lanes of the relay: which events each of them tells of, and to whom.

Each lane goes its own pace, with a cursor of its own: a queue that is full holds up nobody but its own lane.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from mycelium.models import AGENTS, TASKS, USERS, WORKFLOWS, Task, Workflow
from mycelium_messaging.history import histories_of
from mycelium_messaging.outgoing import (
    COORDINATED,
    Outgoing,
    announcement,
    letter,
    notification,
    rejection,
    response,
    system_event,
    task_report,
    workflow_report,
)
from mycelium_messaging.page import OUTCOMES, Page

SYSTEM: Final = "system:events"
"""The channel of what concerns everybody."""
CHANNELS: Final = (TASKS, AGENTS, WORKFLOWS, SYSTEM, USERS)
"""What the lanes read."""
REPORTED: Final = OUTCOMES | {"task.started"}
WORKFLOWS_REPORTED: Final = frozenset(
    {"workflow.created", "workflow.completed", "workflow.failed", "workflow.cancelled"}
)
REJECTED: Final = "coordination.rejected"
"""The event, among those of workflows, that a request became none."""
BY_MESSAGE: Final = "by_message"
"""What the data of an event has that a message brought: it does not go out again."""

Lane: TypeAlias = Callable[[Page], Awaitable[list[Outgoing]]]


async def announce(page: Page) -> list[Outgoing]:
    """Tasks that may be claimed: each once for all that these events say of it, if it still may."""
    ready = page.with_tasks(page.ready.values())
    return [announcement(event, task) for event, task in ready if to_be_had(task)]


def to_be_had(task: Task) -> bool:
    """Whether nothing is missing but somebody to claim it. One that waits for its time is told of again then."""
    return task.unhindered and not task.holds_work and task.not_before is None


async def respond(page: Page) -> list[Outgoing]:
    """What became of tasks."""
    return [response(event, task) for event, task in page.with_tasks(page.of_type(TASKS, OUTCOMES))]


async def park(page: Page) -> list[Outgoing]:
    """Tasks that failed for good, each with its history."""
    failed = page.with_tasks(page.of_type(TASKS, {"task.failed"}))
    histories = await histories_of(page.m, [task for _, task in failed])
    return [letter(event, task, histories[task.id]) for event, task in failed]


async def tell_everybody(page: Page) -> list[Outgoing]:
    """What concerns everybody: events of the system, and agents that come, go or are in trouble."""
    own = [event for event in page.events if event.channel == SYSTEM and BY_MESSAGE not in event.data]
    return [system_event(event) for event in [*own, *page.of_type(AGENTS, {"agent.status", "agent.removed"})]]


async def notify(page: Page) -> list[Outgoing]:
    """What people are to be told."""
    return [notification(event) for event in page.of_type(USERS, {"user.notification"})]


async def report(page: Page) -> list[Outgoing]:
    """How coordinated workflows, and the tasks in them, stand."""
    parts = [event for event in page.of_type(TASKS, REPORTED) if "workflow_id" in event.data]
    reports = {
        event.seq: task_report(event, task) for event, task in page.with_tasks(parts) if COORDINATED in task.payload
    }
    for event in page.of_type(WORKFLOWS, WORKFLOWS_REPORTED):
        (workflow,) = await page.m.backend.get(Workflow, [str(event.data["workflow_id"])])
        if workflow is not None and COORDINATED in workflow.metadata:
            tasks = [task for task in await page.m.backend.get(Task, workflow.tasks) if task is not None]
            reports[event.seq] = workflow_report(event, workflow, tasks)
    reports |= {event.seq: rejection(event) for event in page.of_type(WORKFLOWS, {REJECTED})}
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
