"""Records as rows, fields and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from mycelium.models import AGENTS, TASKS, WORKFLOWS, Agent, Event, Page, Stats, Task, Workflow
from mycelium_server.cli.output import Listing

OWN_CHANNELS: Final = (TASKS, AGENTS, WORKFLOWS)


def of_tasks(page: Page[Task]) -> Listing:
    rows = [
        (task.id, task.status, task.type, task.title, _priority(task), _percent(task), _who(task))
        for task in page.records
    ]
    data = {"tasks": [task.model_dump(mode="json") for task in page.records], "cursor": page.cursor}
    columns = ("task", "status", "type", "title", "priority", "progress", "agent")
    return Listing(columns, rows, data, empty="No such tasks.", more=_more(page.cursor), cut=("type", "title"))


def fields_of_task(task: Task, waiting_on: Sequence[str]) -> dict[str, str]:
    lease = task.lease
    return {
        "task": task.id,
        "type": task.type,
        "title": task.title,
        "status": task.status,
        "priority": task.priority,
        "assigned to": task.assigned_to or "",
        "held by": f"{lease.agent} until {lease.expires_at:%Y-%m-%d %H:%M:%SZ}" if lease else "",
        "progress": f"{task.progress:.0%}" if task.progress else "",
        "note": task.note,
        "depends on": ", ".join(task.depends_on),
        "waiting on": ", ".join(waiting_on),
        "not before": f"{task.not_before:%Y-%m-%d %H:%M:%SZ}" if task.not_before else "",
        "attempt": f"{task.attempt} of {task.max_attempts}" if task.attempt else "",
        "workflow": task.workflow_id or "",
        "created": f"{task.created_at:%Y-%m-%d %H:%M:%SZ} by {task.created_by or '-'}",
        "updated": f"{task.updated_at:%Y-%m-%d %H:%M:%SZ}",
        "payload": _compact(task.payload),
        "result": _compact(task.result),
        "error": _compact(task.error),
    }


def data_of_task(task: Task, waiting_on: Sequence[str]) -> dict[str, Any]:
    return {**task.model_dump(mode="json"), "waiting_on": list(waiting_on)}


def of_agents(page: Page[Agent]) -> Listing:
    rows = [
        (agent.name, agent.status, ", ".join(agent.active_tasks), ", ".join(agent.capabilities),
         f"{agent.last_updated:%Y-%m-%d %H:%M:%SZ}")
        for agent in page.records
    ]  # fmt: skip
    data = {"agents": [agent.model_dump(mode="json") for agent in page.records], "cursor": page.cursor}
    columns = ("agent", "status", "works on", "can", "last seen")
    return Listing(columns, rows, data, empty="No such agents.", more=_more(page.cursor), cut=("works on", "can"))


def of_workflows(page: Page[Workflow]) -> Listing:
    rows = [
        (flow.id, flow.status, flow.type, flow.mode, f"{flow.progress:.0%} of {len(flow.tasks)} tasks")
        for flow in page.records
    ]
    data = {"workflows": [flow.model_dump(mode="json") for flow in page.records], "cursor": page.cursor}
    columns = ("workflow", "status", "type", "mode", "progress")
    return Listing(columns, rows, data, empty="No such workflows.", more=_more(page.cursor), cut=("type",))


def of_events(events: Sequence[Event], cursor: int) -> Listing:
    data = {"events": [event.model_dump(mode="json") for event in events], "cursor": cursor}
    columns = ("event", "time", "channel", "type", "agent", "data")
    rows = [row_of_event(event) for event in events]
    seen = [words_of_event(event) for event in events]
    return Listing(columns, rows, data, empty="No such events.", cut=("data",), for_people=seen)


def row_of_event(event: Event) -> tuple[str, ...]:
    when = f"{event.time:%Y-%m-%d %H:%M:%SZ}"
    return (str(event.seq), when, event.channel, event.type, event.source or "-", _compact(event.data))


def words_of_event(event: Event) -> tuple[str, ...]:
    """The same for people: without the date if it is today's, and without a channel that the type tells anyway."""
    seq, when, channel, kind, source, _ = row_of_event(event)
    when = when if event.time.date() != datetime.now(UTC).date() else f"{event.time:%H:%M:%SZ}"
    said = (f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in event.data.items())
    return (seq, when, "" if channel in OWN_CHANNELS else channel, kind, source, " ".join(said))


def fields_of_stats(stats: Stats) -> dict[str, str]:
    return {
        "store": stats.url,
        "mode": stats.mode,
        "instead of": stats.instead_of or "",
        "tasks": _counts(stats.tasks),
        "ready": str(stats.ready),
        "queues": _counts(stats.queues) if stats.ready else "",
        "agents": _counts(stats.agents),
        "workflows": _counts(stats.workflows),
        "last event": str(stats.last_seq),
        "on disk": f"{stats.bytes / 1024:,.0f} KiB" if stats.bytes is not None else "",
    }


def data_of_stats(stats: Stats) -> dict[str, Any]:
    return asdict(stats)


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if count) or "none"


def _priority(task: Task) -> str:
    return "" if task.priority == "normal" else task.priority


def _percent(task: Task) -> str:
    return f"{task.progress:.0%}" if task.progress and task.open else ""


def _who(task: Task) -> str:
    return task.agent or (f"for {task.assigned_to}" if task.assigned_to else "")


def _more(cursor: str | None) -> str:
    return f"There is more: --cursor {cursor}" if cursor else ""


def _compact(value: Mapping[str, object] | None) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
