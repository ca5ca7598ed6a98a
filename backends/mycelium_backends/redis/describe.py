"""A change in the words of `commit.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic_core import to_json

from mycelium.models import PRIORITY_RANK, Agent, Event, Keeper, Record, Task, Trigger, Workflow
from mycelium.rules import Change, NewEvent
from mycelium_backends.redis.facts import Seen, due_text, since_text

READY: Final = 1
LATER: Final = 2


@dataclass(frozen=True, slots=True)
class Description:
    """What the script gets for one change: JSON, and the texts that this refers to by their numbers from 1."""

    json: bytes
    texts: Sequence[str]
    """The records in the order of the change's puts, then the events."""

    @property
    def size(self) -> int:
        """Bytes, nearly."""
        return len(self.json) + sum(map(len, self.texts))


def describe(change: Change[Any], seen: Sequence[Seen], time: datetime) -> Description:
    """The change of a rule that saw this; `time` is that of its events.

    Raises what pydantic does for an event whose data is not JSON.
    """
    texts: list[str] = []

    def text(value: str) -> int:
        texts.append(value)
        return len(texts)

    puts = [_put(record, text(record.model_dump_json(exclude_defaults=True))) for record in change.puts]
    events = [[new.channel, text(_new_event(new, time))] for new in change.events]
    history = [[e.seq, _json(e.id), e.channel, text(_without_number(e))] for e in change.history]
    new_waiters = [
        [record.id, record.depends_on, record.run_when]
        for record in change.puts
        if isinstance(record, Task) and record.blocked
    ]
    said = {
        "seen": seen,
        "puts": puts,
        "waiting": new_waiters,
        "workflows": [record.id for record in change.puts if isinstance(record, Workflow)],
        "removes": [[record.kind, record.key] for record in change.removes],
        "events": events,
        "history": history,
        "texts": len(texts),
        "writes": bool(puts or change.removes or events or history),
    }
    return Description(to_json(said), texts)


def _put(record: Record, text: int) -> list[object]:
    match record:
        case Task():
            return ["task", record.id, record.version, _task_entry(record), text]
        case Agent():
            entry = [record.version, record.status, due_text(record)]
            return ["agent", record.name, record.version, entry, text, _shown_agent(record)]
        case Workflow():
            by_hand = int(bool(record.progress or record.current_task))
            entry = [record.version, 0, record.status, by_hand, due_text(record)]
            return ["workflow", record.id, record.version, entry, text, _shown_workflow(record)]
        case Trigger():
            entry = [record.version, 0, record.status, due_text(record), since_text(record)]
            return ["trigger", record.id, record.version, entry, text]
        case Keeper():
            return ["keeper", record.key, record.version, [record.version], text]
        case _:
            raise TypeError(type(record))


def _task_entry(task: Task) -> list[object]:
    """The columns of `store.lua`; the number is the script's."""
    return [
        task.version,
        0,
        task.status,
        PRIORITY_RANK[task.priority],
        task.assigned_to or "",
        task.agent or "",
        task.workflow_id or "",
        0 if task.claimable_from is None else LATER if task.not_before else READY,
        due_text(task),
        task.type,
        task.idempotency_key or "",
        int(task.blocked),
        task.lane,
    ]


def _shown_agent(agent: Agent) -> dict[str, object]:
    """The hash that others may read."""
    fields = {
        "status": agent.status,
        "last_updated": _json(agent.last_updated)[1:-1],
        "active_tasks": _json(agent.active_tasks),
        "metadata": _json(agent.metadata),
    }
    return {"fields": _flat(fields), "ttl": max(1, round(agent.ttl * 1000))}


def _shown_workflow(workflow: Workflow) -> dict[str, object]:
    fields = {"status": workflow.status, "progress": f"{workflow.progress:g}"}
    if workflow.result is not None:
        fields["result"] = _json(workflow.result)
    if workflow.error is not None:
        fields["error"] = str(workflow.error.get("error", _json(workflow.error)))
    return {"fields": _flat(fields)}


def _flat(fields: dict[str, str]) -> list[str]:
    return [each for field in fields.items() for each in field]


def _new_event(new: NewEvent, time: datetime) -> str:
    """All of an event's JSON that stands behind its number and id."""
    fields = {"channel": new.channel, "type": new.type, "source": new.source, "time": time, "data": new.data}
    return _json({name: value for name, value in fields.items() if value is not None})[1:]


def _without_number(event: Event) -> str:
    return event.model_dump_json(exclude={"seq", "id"}, exclude_defaults=True)[1:]


def _json(value: object) -> str:
    return to_json(value).decode()
