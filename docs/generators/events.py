"""The events that Mycelium itself publishes, found where its rules make them."""

from __future__ import annotations

import ast
from typing import Final

from generators.blocks import code, table
from generators.source import calls
from mycelium.models import AGENTS, TASKS, TRIGGERS, WORKFLOW_TRANSITIONS, WORKFLOWS

CHANNELS: Final = {"TASKS": TASKS, "AGENTS": AGENTS, "WORKFLOWS": WORKFLOWS, "TRIGGERS": TRIGGERS}
SHARED: Final = ("task_id", "task_type", "workflow_id")
"""What `about(task)` adds."""
MEANS: Final = {
    "task.created": "A task is there; `ready` if it can be claimed at once.",
    "task.ready": "A task that waited on dependencies or a time can be claimed.",
    "task.started": "An agent, the event's source, claimed it.",
    "task.progress": "Its holder said how far it is.",
    "task.released": "Its holder gave it back.",
    "task.expired": "Its lease ran out; `holder` had it.",
    "task.retrying": "An attempt failed; the next may begin at `at`.",
    "task.completed": "It has its result.",
    "task.failed": "It failed for good.",
    "task.cancelled": "It was called off; `holder` worked on it.",
    "task.skipped": "It can no longer run, `because` of another task.",
    "task.edited": "A person changed what it says, in a file.",
    "task.adopted": "A file brought it as another copy of the store wrote it, and no event told of that.",
    "task.removed": "Its file was removed.",
    "agent.status": "What an agent says of itself changed, or it went silent.",
    "agent.removed": "An agent was forgotten.",
    "workflow.created": "A workflow and its tasks are there.",
    "workflow.progress": "An agent that drives it by hand said how far it is.",
    "workflow.edited": "A person changed what it says, in a file.",
    "workflow.adopted": "A file brought it as another copy of the store wrote it, and no event told of that.",
    "workflow.removed": "Its file was removed.",
    "workflow.completed": "It ended well.",
    "workflow.failed": "It ended with a failed task, or by hand.",
    "workflow.cancelled": "It ended with a cancelled task, and none that failed.",
    "trigger.created": "A trigger is there.",
    "trigger.edited": "A person changed what it says, in a file.",
    "trigger.adopted": "A file brought it as another copy of the store wrote it, and no event told of that.",
    "trigger.removed": "It was removed, or its file was.",
}
STATUSES: Final = sorted(WORKFLOW_TRANSITIONS["running"])


def types() -> str:
    """A row for each type of event.

    Raises:
        ValueError: the rules publish other types than are explained here.
    """
    made = found()
    if differing := made.keys() ^ MEANS.keys():
        raise ValueError(f"events without an explanation, or explanations without an event: {sorted(differing)}")
    rows = [(code(name), code(made[name][0]), means, _names(made[name][1])) for name, means in MEANS.items()]
    return table(("type", "channel", "what happened", "`data`"), rows)


def _names(names: list[str]) -> str:
    return ", ".join(code(name) for name in names)


def found() -> dict[str, tuple[str, list[str]]]:
    """For each type, its channel and the names in its data."""
    events: dict[str, tuple[str, list[str]]] = {}
    for call in calls():
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "event" or len(call.args) < 3:
            continue
        channel, kind, *_ = call.args
        assert isinstance(channel, ast.Name)
        data = [name for keyword in call.keywords for name in ((keyword.arg,) if keyword.arg else SHARED)]
        for name in _types(kind):
            known = events.get(name, ("", []))[1]
            events[name] = (CHANNELS[channel.id], list(dict.fromkeys([*known, *data])))
    return events


def _types(kind: ast.expr) -> list[str]:
    if isinstance(kind, ast.Constant):
        return [str(kind.value)]
    assert isinstance(kind, ast.JoinedStr), "the outcome of a workflow is the only type that is put together"
    return [f"workflow.{status}" for status in STATUSES]
