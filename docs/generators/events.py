"""The events that Mycelium itself publishes, found where its rules make them."""

from __future__ import annotations

import ast
from typing import Final

from generators.blocks import code, table
from generators.source import calls
from mycelium.models import AGENTS, TASKS, TRIGGERS, USERS, WORKFLOWS

CHANNELS: Final = {"TASKS": TASKS, "AGENTS": AGENTS, "WORKFLOWS": WORKFLOWS, "TRIGGERS": TRIGGERS, "USERS": USERS}
SHARED: Final = {
    "about(task)": ("task_id", "task_type", "workflow_id", "hops"),
    "task": ("task_id", "task_type", "workflow_id", "hops"),
    "about_workflow(workflow)": ("workflow_id", "workflow_type", "hops"),
    "made": ("task_id", "workflow_id"),
    "about": ("cause", "hops"),
}
"""What the rules add to data as a whole, by how they write it."""
MEANS: Final = {
    "task.created": "A task is there; `ready` if it can be claimed at once.",
    "task.ready": "A task that waited on dependencies or a time can be claimed.",
    "task.approval_requested": "It waits for a person's yes; `approval` is the question.",
    "task.approved": "A person, `by`, said yes.",
    "task.rejected": "A person, `by`, said no; `task.cancelled` follows.",
    "task.started": "An agent, the event's source, claimed it, or a workflow, `runs`, began to do it.",
    "task.progress": "Its holder said how far it is, or what more it took.",
    "task.released": "Its holder gave it back.",
    "task.expired": "Its lease ran out; `holder` had it.",
    "task.retried": "It begins anew after a bad end.",
    "task.retrying": "An attempt failed; the next may begin at `at`.",
    "task.completed": "It has its result.",
    "task.failed": "It failed for good, or a value it refers to cannot be had.",
    "task.cancelled": "It was called off; `holder` worked on it.",
    "task.skipped": "It can no longer run, `because` of another task, or for a `reason`.",
    "task.edited": "A person changed what it says, in a file.",
    "task.adopted": "A file brought it as another copy of the store wrote it, and no event told of that.",
    "task.removed": "Its file was removed.",
    "agent.status": "What an agent says of itself changed, or it went silent, or failed too often, or may try again.",
    "agent.removed": "An agent was forgotten.",
    "workflow.created": "A workflow and its tasks are there.",
    "workflow.progress": "An agent that drives it by hand said how far it is.",
    "workflow.paused": "Nobody may claim its tasks until it is resumed.",
    "workflow.resumed": "It goes on.",
    "workflow.compensating": "A task failed; `tasks` undo what was done.",
    "workflow.timed_out": "It took too long; its open tasks are cancelled.",
    "workflow.retried": "What was not completed is done again.",
    "workflow.edited": "A person changed what it says, in a file.",
    "workflow.adopted": "A file brought it as another copy of the store wrote it, and no event told of that.",
    "workflow.removed": "Its file was removed.",
    "workflow.completed": "It ended well.",
    "workflow.failed": "It ended with a failed task, too late, or by hand.",
    "workflow.cancelled": "It ended with a cancelled task and none that failed, or was called off.",
    "trigger.created": "A trigger is there.",
    "trigger.fired": "It made `task_id` or `workflow_id`; `hops` triggers in a row led there.",
    "trigger.failed": "What it should have made of `cause` could not be made.",
    "trigger.missed": "It was too late for the tick `at` and those since: with `missed: skip` nothing is made of them.",
    "trigger.stopped": "Somebody stopped it, or it was stopped for an `error`.",
    "trigger.started": "It fires again.",
    "trigger.edited": "A person changed what it says, in a file.",
    "trigger.adopted": "A file brought it as another copy of the store wrote it, and no event told of that.",
    "trigger.removed": "It was removed, or its file was.",
    "user.notification": "Somebody, the event's source, tells a person something, perhaps about a task.",
}
OUTCOMES: Final = sorted(f"workflow.{status}" for status in ("completed", "failed", "cancelled"))
CHOSEN: Final = {
    "f'workflow.{status}'": OUTCOMES,
    "f'workflow.{workflow.status}'": OUTCOMES,
    "f'task.{outcome}'": ["task.cancelled", "task.completed", "task.failed"],
    "kind": ["trigger.started", "trigger.stopped"],
}
"""The types that are known only when a rule runs, by how it writes them."""


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
        data = [name for keyword in call.keywords for name in _added(keyword)]
        for name in _types(kind):
            known = events.get(name, ("", []))[1]
            events[name] = (CHANNELS[channel.id], list(dict.fromkeys([*known, *data])))
    return events


def _types(kind: ast.expr) -> list[str]:
    return [str(kind.value)] if isinstance(kind, ast.Constant) else CHOSEN[ast.unparse(kind)]


def _added(keyword: ast.keyword) -> tuple[str, ...]:
    """The names in data that this argument brings."""
    if keyword.arg is not None:
        return (keyword.arg,)
    written = ast.unparse(keyword.value)
    return SHARED["about(task)" if written.startswith("about(") else written]
