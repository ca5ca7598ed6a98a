"""Tools for triggers. Every reply's structured content has the trigger under `trigger`, or `triggers` and `cursor`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mycelium import Mycelium
from mycelium.models import Trigger, TriggerStatus
from mycelium_tools.arguments import Parts, Whole
from mycelium_tools.lines import trigger_line
from mycelium_tools.paging import fitting, full_page
from mycelium_tools.records import trigger_record
from mycelium_tools.registry import ADDS, ENDS, READS, SETS, tool
from mycelium_tools.reply import Reply


@tool(ADDS)
async def create_trigger(
    m: Mycelium,
    when: Annotated[
        Parts,
        Field(
            description="One of event {channel, type, source, where}, schedule {cron, timezone | every_seconds | at, "
            "missed}, statistic {statistic, op, value}, agent {agent, status}; * and ? match"
        ),
    ],
    then: Annotated[
        Parts,
        Field(
            description="task {create_task's arguments} or workflow {create_workflow's}; "
            '{"$from": "cause.data.x"} in a payload is a part of the cause'
        ),
    ],
    trigger_id: str | None = None,
) -> Reply:
    """Create a task or a workflow whenever something happens, once for each cause. Returns trigger_id."""
    trigger = await m.create_trigger(when, then, trigger_id=trigger_id)
    return Reply(f"trigger_id: {trigger_line(trigger)}", {"trigger_id": trigger.id, **_data(trigger)})


@tool(READS)
async def list_triggers(
    m: Mycelium, status: TriggerStatus | None = None, limit: Whole = 20, cursor: str | None = None
) -> Reply:
    """Triggers, newest first: how often each fired, and what went wrong."""
    page = await full_page(
        lambda number: m.list_triggers(status=status, limit=number, cursor=cursor),
        limit,
        lambda triggers: fitting(map(trigger_record, triggers)),
    )
    lines = [trigger_line(trigger) for trigger in page.records] or ["No such triggers."]
    data: dict[str, Any] = {"triggers": [trigger_record(trigger) for trigger in page.records]}
    if page.cursor:
        lines.append(f"more: cursor={page.cursor}")
        data["cursor"] = page.cursor
    return Reply("\n".join(lines), data)


@tool(SETS)
async def set_trigger(m: Mycelium, trigger_id: str, active: bool) -> Reply:
    """Stop a trigger, or start it again for what happens from now on."""
    trigger = await (m.start_trigger(trigger_id) if active else m.stop_trigger(trigger_id))
    return Reply(trigger_line(trigger), _data(trigger))


@tool(ENDS)
async def remove_trigger(m: Mycelium, trigger_id: str) -> Reply:
    """Take a trigger away. What it made stays."""
    await m.remove_trigger(trigger_id)
    return Reply(f"{trigger_id} is removed.", {"removed": trigger_id})


def _data(trigger: Trigger) -> dict[str, Any]:
    return {"trigger": trigger_record(trigger)}
