"""Records as text: one line each, what is usual left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mycelium.models import PRIORITY_RANK, Agent, Event, Stats, Task, Workflow

WIDTH: Final = 56
"""Characters of a task's line in a listing: 50 of them, and the cursor, stay under 3,000."""
LINES: Final = 50
"""Lines of `WIDTH` for which a listing always has room; more where more are asked for."""
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
    if task.not_before and task.open:
        yield f"from {task.not_before:%m-%dT%H:%MZ}"


def task_details(task: Task, waiting_on: Iterable[str] = ()) -> str:
    """The line, then whatever there is of the rest."""
    lease = task.lease
    parts = {
        "lease": lease and f"until {lease.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        "note": one_line(task.note),
        "attempt": task.max_attempts > 1 and f"{task.attempt} of {task.max_attempts}",
        "depends_on": _some(task.depends_on),
        "waiting_on": _some(list(waiting_on)),
        "payload": compact(task.payload),
        "result": compact(task.result),
        "error": compact(task.error),
    }
    return "\n".join([task_line(task), *(f"{name}: {value}" for name, value in parts.items() if value)])


def agent_line(agent: Agent) -> str:
    """`NAME STATUS`, what it works on, what it can do."""
    can = f"can {', '.join(agent.capabilities)}" if agent.capabilities else ""
    return _join(agent.name, agent.status, _some([one_line(task) for task in agent.active_tasks]), can)


def event_line(event: Event) -> str:
    """`SEQ CHANNEL TYPE SOURCE DATA`; time itself is the source `-`."""
    return _join(str(event.seq), event.channel, event.type, event.source or "-", cut(compact(event.data), EVENT_DATA))


def workflow_line(workflow: Workflow) -> str:
    """`ID STATUS TYPE`, mode and progress."""
    tasks = f"{len(workflow.tasks)} tasks, {workflow.mode}" if workflow.tasks else "driven by hand"
    return f"{workflow.id} {workflow.status} {workflow.type}: {workflow.progress:.0%} of {tasks}"


def stats_lines(stats: Stats) -> str:
    """Counts by status, which store it is, and what was passed over for it."""
    lines = [
        f"{stats.mode} {stats.url}",
        *([f"instead of {stats.instead_of}"] if stats.instead_of else []),
        f"tasks: {_counts(stats.tasks)} ({stats.ready} ready{_urgencies(stats)})",
        f"agents: {_counts(stats.agents)}",
        f"workflows: {_counts(stats.workflows)}",
        f"last event: {stats.last_seq}",
    ]
    return "\n".join(lines)


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
