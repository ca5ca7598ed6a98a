"""Records as rows, fields and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

from mycelium.models import (
    AGENTS,
    TASKS,
    TRIGGERS,
    USERS,
    WORKFLOWS,
    Agent,
    Budget,
    Event,
    Keeper,
    Page,
    Spent,
    Stats,
    Task,
    Trigger,
    Workflow,
)
from mycelium_server.cli.output import Listing

OWN_CHANNELS: Final = (TASKS, AGENTS, WORKFLOWS, TRIGGERS, USERS)


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
        "not before": _moment(task.not_before),
        "paused": "until its workflow is resumed" if task.paused else "",
        "queue": task.queue or "",
        "needs": ", ".join(task.capabilities),
        "approval": _approval(task),
        "budget": _amounts(task.budget),
        "spent": _amounts(task.spent),
        "done by": f"the workflow {task.runs}" if task.runs else "",
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
        (flow.id, flow.status, flow.type, flow.mode, f"{flow.progress:.0%} of {len(flow.tasks)} tasks", _error(flow))
        for flow in page.records
    ]
    data = {"workflows": [flow.model_dump(mode="json") for flow in page.records], "cursor": page.cursor}
    columns = ("workflow", "status", "type", "mode", "progress", "error")
    return Listing(columns, rows, data, empty="No such workflows.", more=_more(page.cursor), cut=("type", "error"))


def _error(flow: Workflow) -> str:
    return str(flow.error.get("error", flow.error)) if flow.error else ""


def of_approvals(tasks: Sequence[Task]) -> Listing:
    rows = [(task.id, task.approval or "", task.type, task.title, task.workflow_id or "") for task in tasks]
    data = {"tasks": [task.model_dump(mode="json") for task in tasks]}
    columns = ("task", "question", "type", "title", "workflow")
    more = "Answer with `mycelium approve ID` or `mycelium reject ID`."
    return Listing(columns, rows, data, empty="Nothing waits for a person.", more=more, cut=("question", "title"))


def of_triggers(page: Page[Trigger]) -> Listing:
    rows = [
        (each.id, each.status, _when(each), _then(each), str(each.fired), _moment(each.next_at), each.error or "")
        for each in page.records
    ]
    data = {"triggers": [each.model_dump(mode="json") for each in page.records], "cursor": page.cursor}
    columns = ("trigger", "status", "when", "then", "fired", "next", "error")
    return Listing(columns, rows, data, empty="No such triggers.", more=_more(page.cursor), cut=("when", "error"))


def fields_of_trigger(trigger: Trigger) -> dict[str, str]:
    return {
        "trigger": trigger.id,
        "status": trigger.status,
        "when": _when(trigger),
        "then": _compact(trigger.then.model_dump(mode="json", exclude_defaults=True)),
        "fired": str(trigger.fired),
        "last fired": _moment(trigger.last_fired_at),
        "next": _moment(trigger.next_at),
        "error": trigger.error or "",
        "created": f"{_moment(trigger.created_at)} by {trigger.created_by or '-'}",
        "updated": _moment(trigger.updated_at),
    }


def _when(trigger: Trigger) -> str:
    return _compact(trigger.when.model_dump(mode="json", exclude_defaults=True))


def _then(trigger: Trigger) -> str:
    then = trigger.then
    return f"task {then.task.type}" if then.task is not None else f"workflow {then.workflow and then.workflow.type}"


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else ""


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
        "triggers": _counts(stats.triggers) if stats.triggers else "",
        "housekeeper": _keeper(stats.housekeeper),
        "last event": str(stats.last_seq),
        "on disk": f"{stats.bytes / 1024:,.0f} KiB" if stats.bytes is not None else "",
    }


def data_of_stats(stats: Stats) -> dict[str, Any]:
    data = asdict(replace(stats, housekeeper=None))
    return data | {"housekeeper": stats.housekeeper.model_dump(mode="json") if stats.housekeeper else None}


def _keeper(keeper: Keeper | None) -> str:
    """Who keeps house, since when, and what those who did have done."""
    if keeper is None:
        return ""
    who = f"{keeper.agent or keeper.holder} since {_moment(keeper.since)}" if keeper.holder else "nobody"
    return f"{who}, {keeper.expired} expired, {keeper.fired} fired"


def _approval(task: Task) -> str:
    if task.approval is None:
        return ""
    if task.approved is None:
        return f"{task.approval} (not answered yet)" if task.open else task.approval
    return f"{task.approval} Yes, says {task.approved.by}" + (f": {task.approved.note}" if task.approved.note else "")


def _amounts(amounts: Budget | Spent | None) -> str:
    said = {} if amounts is None else amounts.model_dump(exclude_none=True)
    return ", ".join(f"{amount:g} {name}" for name, amount in said.items())


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
