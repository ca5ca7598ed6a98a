"""What tests ask of a store again and again."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from mycelium import Mycelium, MyceliumError
from mycelium.models import Event, Task

PATIENCE = 30.0
"""Seconds: a bound for a broken build, never reached otherwise."""


async def snapshot(m: Mycelium) -> list[str]:
    """Everything that is stored."""
    return [line async for line in m.export()]


@asynccontextmanager
async def refuses(m: Mycelium, code: str) -> AsyncGenerator[pytest.ExceptionInfo[MyceliumError]]:
    """The block raises the error with this code, which says what to do, and nothing at all was stored."""
    before = await snapshot(m)
    with pytest.raises(MyceliumError) as caught:
        yield caught
    error = caught.value
    assert error.code == code, str(error)
    assert error.message
    assert error.hint
    assert len(str(error)) < 2000
    json.dumps(error.as_dict())
    assert await snapshot(m) == before


async def claimed(m: Mycelium, task_id: str | None = None, *, agent: str | None = None, seconds: float = 60) -> Task:
    """A task that was free to claim and now is claimed."""
    task = await m.claim_task(task_id, agent=agent, lease_seconds=seconds)
    assert task is not None
    return task


def token_of(task: Task) -> int:
    """The token of a lease that is there."""
    assert task.lease is not None
    return task.lease.token


async def done(m: Mycelium, task_id: str) -> None:
    """Claim this task and complete it."""
    await claimed(m, task_id)
    await m.complete_task(task_id)


async def failed(m: Mycelium, task_id: str) -> None:
    """Claim this task and fail it for good."""
    await claimed(m, task_id)
    await m.fail_task(task_id, "broken", retry=False)


async def status(m: Mycelium, task_id: str) -> str:
    """How a task stands: its status, or where it is pending, what for."""
    task = await m.get_task(task_id)
    if task.status != "pending":
        return task.status
    return "blocked" if task.blocked else "ready" if await is_ready(m, task_id) else "waiting"


async def is_ready(m: Mycelium, task_id: str) -> bool:
    """Whether the listing of ready tasks has it."""
    page = await m.list_tasks(ready=True, limit=1000)
    return task_id in [task.id for task in page.records]


async def log(m: Mycelium) -> list[Event]:
    """The whole log."""
    events: list[Event] = []
    cursor = 0
    while page := (await m.read_events(after=cursor, limit=1000)).events:
        events += page
        cursor = page[-1].seq
    return events


async def told(m: Mycelium, task_id: str) -> list[str]:
    """The types of the events on this task, in their order."""
    return [event.type for event in await log(m) if event.data.get("task_id") == task_id]
