"""Whatever a caller passes, in place of whichever argument: it is taken, or refused by name."""

import inspect
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from mycelium import Mycelium, MyceliumError
from mycelium.models import Event

WRONG: list[Any] = [
    None, True, "", "x", "3", 3, 3.0, -1, 10**30, float("nan"), b"x", object(),
    [], ["x"], [None], [[]], (1,), {1}, {}, {"a": 1}, {1: 2}, "\ud800",
]  # fmt: skip
VERBS = [
    "create_task", "create_tasks", "get_task", "get_tasks", "waiting_on", "list_tasks", "get_tasks_for_agent",
    "cancel_task", "claim_task", "renew_lease", "update_task", "complete_task", "fail_task", "update_task_status",
    "store_agent_status", "get_agent_status", "list_agents", "remove_agent_status", "leave", "see",
    "publish_event", "publish_events", "read_events", "latest_events", "subscribe_events", "unsubscribe_events",
    "notify_user",
    "create_workflow", "get_workflow", "list_workflows", "update_workflow", "complete_workflow", "fail_workflow",
]  # fmt: skip
LONG = 0.05
"""Seconds: a call that waits for events waits this long."""


async def ignore(_: Event) -> None:
    """Take an event."""


@pytest.fixture
async def m() -> AsyncGenerator[Mycelium]:
    async with Mycelium.open("memory:", agent="ada", background=False) as client:
        await client.subscribe_events("other", ignore)
        yield client


async def right_arguments(m: Mycelium) -> dict[str, Any]:
    """For each argument that a verb must have, one that is right."""
    task = await m.create_task("x")
    await m.store_agent_status(m.agent, "idle")  # after many failures it would get no task
    await m.claim_task(task.id)
    workflow = await m.create_workflow("w")
    return {
        "type": "x", "task_id": task.id, "task_ids": [task.id], "tasks": ["a"], "workflow_id": workflow.id,
        "agent": "eve", "channel": "c", "data": [{}], "error": "e", "status": "cancelled", "callback": ignore,
        "user": "u-7", "message": "m",
    }  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
async def test_a_wrong_value_is_never_an_internal_error(m: Mycelium, verb: str) -> None:
    call = getattr(m, verb)
    arguments = [each for each in inspect.signature(call).parameters.values() if each.kind != each.VAR_KEYWORD]
    refused = set[str]()
    for argument in arguments:
        for wrong in WRONG:
            right = await right_arguments(m)
            given = {each.name: right[each.name] for each in arguments if each.default is each.empty}
            with anyio.move_on_after(LONG):
                try:
                    await call(**{**given, argument.name: wrong})
                except MyceliumError as error:
                    refused.add(error.code)
    assert refused
