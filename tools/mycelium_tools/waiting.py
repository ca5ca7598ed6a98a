"""The tool that waits. Structured content has `ended`, and what was waited for: `task`, `workflow` or `event`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mycelium import Mycelium
from mycelium.client.base import within
from mycelium.errors import InvalidInput
from mycelium.models import Workflow
from mycelium_tools.arguments import Number
from mycelium_tools.lines import compact, event_line, task_details, workflow_line
from mycelium_tools.records import event_record, task_record, workflow_record
from mycelium_tools.registry import READS, tool
from mycelium_tools.reply import Reply

LONGEST: Final = 3600.0
"""Seconds of one wait, as in `read_events`."""
NOT_YET: Final = "Not ended yet: call again."


@tool(READS)
async def wait_for(
    m: Mycelium,
    task_id: str | None = None,
    workflow_id: str | None = None,
    channel: Annotated[str | None, Field(description="With type: of an event; * matches")] = None,
    type: str | None = None,
    wait_seconds: Number = 50,
) -> Reply:
    """Wait until a task or workflow has ended, or an event comes."""
    within("wait_seconds", wait_seconds, 0, LONGEST)
    event = {name: said for name, said in (("channel", channel), ("type", type)) if said is not None}
    match task_id, workflow_id, event:
        case str(), None, {} if not event:
            return await _for_task(m, task_id, wait_seconds)
        case None, str(), {} if not event:
            return await _for_workflow(m, workflow_id, wait_seconds)
        case None, None, {} if event:
            return await _for_event(m, event, wait_seconds)
        case _:
            raise InvalidInput(
                "Say what to wait for: a task_id, a workflow_id, or the channel and type of an event.",
                hint="One of the three. For several tasks, put them into a workflow.",
                fields=["task_id", "workflow_id", "channel", "type"],
            )


async def _for_task(m: Mycelium, task_id: str, seconds: float) -> Reply:
    state = await m.monitor_workflow([task_id], wait_seconds=seconds)
    (task,) = state.tasks
    said = task_details(task) if state.finished else f"{task_details(task)}\n{NOT_YET}"
    return Reply(said, {"ended": state.finished, "task": task_record(task)})


async def _for_workflow(m: Mycelium, workflow_id: str, seconds: float) -> Reply:
    state = await m.monitor_workflow(workflow_id, wait_seconds=seconds)
    workflow = await m.get_workflow(workflow_id)
    ended = state.finished and not workflow.going_on
    lines = [workflow_line(workflow), *outcome_lines(workflow)]
    return Reply(
        "\n".join(lines if ended else [*lines, NOT_YET]), {"ended": ended, "workflow": workflow_record(workflow)}
    )


async def _for_event(m: Mycelium, pattern: dict[str, str], seconds: float) -> Reply:
    event = await m.wait_for_event(pattern, wait_seconds=seconds)
    if event is None:
        return Reply("Nothing like that happened: call again.", {"ended": False, "event": None})
    return Reply(event_line(event), {"ended": True, "event": event_record(event)})


def outcome_lines(workflow: Workflow) -> list[str]:
    """The result and the error of a workflow, a line for each that there is."""
    return [f"{name}: {said}" for name in ("result", "error") if (said := compact(getattr(workflow, name)))]
