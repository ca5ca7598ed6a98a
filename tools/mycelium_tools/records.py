"""Records as structured content: what has its default is left out, but never id and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, cast

from mycelium.models import Agent, Event, Keeper, Stats, Task, Trigger, Workflow

BULKY: Final = {"payload", "result", "error", "template", "for_each", "workflow", "undo"}
"""Left out of listings: each may be a mebibyte. `get_task` has them."""
TOKENS: Final[dict[str, Any]] = {"token": True, "lease": {"token": True}}
"""Left out everywhere: a lease's token is for its holder, who gets it from the claim."""

SHOWN_OF_KEEPER: Final = {"holder", "agent", "since", "expired", "fired"}
"""The rest is for the election."""


def task_record(task: Task, waiting_on: Sequence[str] = ()) -> dict[str, Any]:
    return _dump(task, TOKENS) | ({"waiting_on": list(waiting_on)} if waiting_on else {})


def short_task_record(task: Task) -> dict[str, Any]:
    return _dump(task, {**TOKENS, **dict.fromkeys(BULKY, True)})


def agent_record(agent: Agent) -> dict[str, Any]:
    return _dump(agent, {})


def workflow_record(workflow: Workflow) -> dict[str, Any]:
    return _dump(workflow, {})


def short_workflow_record(workflow: Workflow) -> dict[str, Any]:
    """Without what may be large; `get_workflow` has it."""
    return _dump(workflow, dict.fromkeys(("tasks", "metadata", "result", "error"), True))


def trigger_record(trigger: Trigger) -> dict[str, Any]:
    return _dump(trigger, {"seq": True, "armed": True})


def event_record(event: Event) -> dict[str, Any]:
    return event.model_dump(mode="json", exclude_defaults=True)


def stats_record(stats: Stats) -> dict[str, Any]:
    said = {each.name: _plain(getattr(stats, each.name)) for each in fields(stats)}
    return {name: value for name, value in said.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, Keeper):
        return value.model_dump(mode="json", include=SHOWN_OF_KEEPER)
    return dict(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else value


def _dump(record: Task | Agent | Workflow | Trigger, without: dict[str, Any]) -> dict[str, Any]:
    said = record.model_dump(mode="json", exclude_defaults=True, exclude=without)
    return {("name" if isinstance(record, Agent) else "id"): record.key, "status": record.status} | said
