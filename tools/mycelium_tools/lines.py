"""Records as text: one line each, what is usual left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mycelium.models import (
    PRIORITY_RANK,
    Agent,
    Budget,
    Event,
    Keeper,
    Spent,
    Stats,
    Task,
    Trigger,
    Workflow,
)

WIDTH: Final = 56
"""Characters of a task's line in a listing: 50 of them, and the cursor, stay under 3,000."""
LINES: Final = 50
"""Lines of `WIDTH` for which a listing always has room; more where more are asked for."""
ERROR: Final = 120
"""Characters of a workflow's error in a listing."""
EVENT_DATA: Final = 300
"""Characters of an event's data in a listing; the whole is in the structured reply."""


def task_line(task: Task) -> str:
    """`ID STATUS TYPE: TITLE`, then priority, progress, holder or assignee, and what it waits for."""
    return _join(task.id, task.status, _what(task), *_marks(task))


def short_task_line(task: Task) -> str:
    """The same within `WIDTH`, at the cost of the title; ids are never cut."""
    head, marks = f"{task.id} {task.status}", _join(*_marks(task, name_width=13))
    room = WIDTH - len(head) - len(marks) - 2
    return _join(head, cut(_what(task), max(room, 6)), marks)


def listed_tasks(tasks: Sequence[Task], room: int) -> list[str]:
    """A short line each; where long ids make them longer than `room` together, only id and status."""
    lines = [short_task_line(task) for task in tasks]
    return lines if sum(taken(lines)) <= room else [f"{task.id} {task.status}" for task in tasks]


def room_for(limit: int) -> int:
    """Characters for the lines of a listing of up to `limit` tasks."""
    return (WIDTH + 1) * max(limit, LINES)


def taken(lines: Iterable[str]) -> Iterable[int]:
    """The characters that each line takes, with its end."""
    return (len(line) + 1 for line in lines)


def _what(task: Task) -> str:
    return f"{task.type}: {one_line(task.title)}" if task.title else task.type


def _marks(task: Task, name_width: int = 128) -> Iterable[str]:
    if task.priority != "normal":
        yield task.priority
    if task.open and task.progress:
        yield f"{task.progress:.0%}"
    if task.agent:
        yield f"@{cut(task.agent, name_width)}"
    elif task.open and task.assigned_to:
        yield f"for {cut(task.assigned_to, name_width)}"
    if task.blocked:
        yield "blocked"
    elif task.status == "pending" and task.awaits_approval:
        yield "unapproved"
    if task.paused:
        yield "paused"
    if task.not_before and task.open:
        yield f"from {task.not_before:%m-%dT%H:%MZ}"


def task_details(task: Task, waiting_on: Iterable[str] = ()) -> str:
    """The line, then whatever there is of the rest."""
    lease = task.lease
    parts = {
        "lease": lease and f"until {lease.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        "note": one_line(task.note),
        "attempt": task.max_attempts > 1 and f"{task.attempt} of {task.max_attempts}",
        "queue": task.queue,
        "needs": _some(task.capabilities),
        "approval": _approval(task),
        "budget": task.budget and _amounts(task.budget),
        "spent": task.spent and _amounts(task.spent),
        "runs": task.runs and f"get_workflow workflow_id={task.runs}",
        "depends_on": _some(task.depends_on),
        "waiting_on": _some(list(waiting_on)),
        "payload": compact(task.payload),
        "result": compact(task.result),
        "error": compact(task.error),
    }
    return "\n".join([task_line(task), *(f"{name}: {value}" for name, value in parts.items() if value)])


def _approval(task: Task) -> str:
    """What a person is asked, and what they said or how they can say it."""
    if task.approved is not None:
        note = f": {one_line(task.approved.note)}" if task.approved.note else ""
        return f"by {one_line(task.approved.by)}{note}"
    if task.approval is None:
        return ""
    how = f" - only a person can say yes: mycelium approve {task.id}" if task.open else ""
    return f"{one_line(task.approval)}{how}"


def _amounts(amounts: Budget | Spent) -> str:
    """`60 seconds, 5000 tokens`; nothing of what is not limited or not known."""
    said = amounts.model_dump(exclude_none=True)
    return ", ".join(f"{amount:g} {name}" for name, amount in said.items() if amount or isinstance(amounts, Budget))


def agent_line(agent: Agent) -> str:
    """`NAME STATUS`, what it works on, what it can do."""
    can = f"can {', '.join(agent.capabilities)}" if agent.capabilities else ""
    return _join(agent.name, agent.status, _some([one_line(task) for task in agent.active_tasks]), can)


def event_line(event: Event) -> str:
    """`SEQ CHANNEL TYPE SOURCE DATA`; time itself is the source `-`."""
    return _join(str(event.seq), event.channel, event.type, event.source or "-", cut(compact(event.data), EVENT_DATA))


def workflow_line(workflow: Workflow) -> str:
    """`ID STATUS TYPE`, progress, mode, and what a failure means if not that the others continue."""
    tasks = f"{len(workflow.tasks)} tasks, {workflow.mode}" if workflow.tasks else "driven by hand"
    policy = "" if workflow.on_failure == "continue" else f", {workflow.on_failure} on failure"
    return f"{workflow.id} {workflow.status} {workflow.type}: {workflow.progress:.0%} of {tasks}{policy}"


def listed_workflow(workflow: Workflow) -> str:
    """The same with the error's beginning, on one line."""
    error = f"error: {cut(one_line(compact(workflow.error)), ERROR)}" if workflow.error else ""
    return _join(workflow_line(workflow), error)


def trigger_line(trigger: Trigger) -> str:
    """`ID STATUS when … then …`, how often it fired, when it ticks next, and what went wrong."""
    when = trigger.when.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    ((kind, pattern),) = when.items()
    ((made, spec),) = trigger.then.model_dump(
        mode="json", include={"task": {"type"}, "workflow": {"type"}}, exclude_none=True
    ).items()
    return _join(
        trigger.id,
        trigger.status,
        f"when {kind} {cut(compact(pattern) or 'any', EVENT_DATA)}",
        f"then {made} {spec['type']}",
        f"fired {trigger.fired}",
        f"next {trigger.next_at:%Y-%m-%dT%H:%M:%SZ}" if trigger.next_at else "",
        f"error: {one_line(trigger.error)}" if trigger.error else "",
    )


def stats_lines(stats: Stats) -> str:
    """Counts by status, which store it is, and what was passed over for it."""
    lines = [
        f"{stats.mode} {stats.url}",
        *([f"instead of {stats.instead_of}"] if stats.instead_of else []),
        f"tasks: {_counts(stats.tasks)} ({stats.ready} ready{_urgencies(stats)})",
        f"agents: {_counts(stats.agents)}",
        f"workflows: {_counts(stats.workflows)}",
        *([f"triggers: {_counts(stats.triggers)}"] if stats.triggers else []),
        *([f"housekeeper: {keeper_line(stats.housekeeper)}"] if stats.housekeeper else []),
        f"last event: {stats.last_seq}",
    ]
    return "\n".join(lines)


def keeper_line(keeper: Keeper) -> str:
    """Who keeps house and since when, and what was done by all that did."""
    who = f"{keeper.agent or keeper.holder} since {keeper.since:%Y-%m-%dT%H:%M:%SZ}" if keeper.holder else "nobody"
    return f"{who}, {keeper.expired} expired, {keeper.fired} fired"


def _urgencies(stats: Stats) -> str:
    """How urgent the ready tasks are, most urgent first, where not all are normal."""
    said = [f"{stats.queues[each]} {each}" for each in list(PRIORITY_RANK)[::-1] if stats.queues.get(each)]
    return f": {', '.join(said)}" if said and stats.queues.get("normal") != stats.ready else ""


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def _some(names: Iterable[str], limit: int = 20) -> str:
    every = list(names)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def one_line(text: str) -> str:
    return " ".join(text.split())


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def compact(value: Mapping[str, object] | None) -> str:
    """As JSON in one line; nothing for nothing."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
