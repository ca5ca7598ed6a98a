"""Listings and counts: what reads many records at once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Generator
from datetime import datetime
from typing import TypeVar, cast

from pydantic_core import from_json

from mycelium.errors import InvalidCursor
from mycelium.models import (
    PRIORITY_RANK,
    Agent,
    AgentQuery,
    AgentStatus,
    Due,
    Event,
    EventQuery,
    Page,
    Priority,
    Query,
    Record,
    Stats,
    Task,
    TaskQuery,
    TaskStatus,
    Trigger,
    TriggerQuery,
    TriggerStatus,
    Workflow,
    WorkflowQuery,
    WorkflowStatus,
)
from mycelium.models.base import is_id

R = TypeVar("R", bound=Record)
Filters = list[tuple[str, object]]

TABLES: dict[type[Record], str] = {Task: "tasks", Agent: "agents", Workflow: "workflows", Trigger: "triggers"}
PRIORITIES: dict[int, Priority] = {rank: priority for priority, rank in PRIORITY_RANK.items()}


def find(connection: sqlite3.Connection, query: Query[R], now: datetime) -> Page[R]:
    """One page of the records that match."""
    match cast("object", query):
        case TaskQuery() as wanted:
            page = _page(connection, Task, "seq", _of_tasks(wanted, now), query)
        case AgentQuery() as wanted:
            page = _page(connection, Agent, "name", _of_status(wanted.status), query)
        case WorkflowQuery() as wanted:
            page = _page(connection, Workflow, "seq", _of_status(wanted.status), query)
        case TriggerQuery() as wanted:
            page = _page(connection, Trigger, "seq", _of_status(wanted.status), query)
        case _:
            raise TypeError(type(query))
    return cast("Page[R]", page)


def _of_status(status: str | None) -> Filters:
    return [("status = ?", status)] if status is not None else []


def _of_tasks(query: TaskQuery, now: datetime) -> Filters:
    wanted: Filters = _of_status(query.status)
    if query.ready:
        wanted.append(("claimable IS NOT NULL AND (claimable = 1 OR due_at <= ?)", now.timestamp()))
    if query.assigned_to is not None:
        wanted.append(("assigned_to = ?", query.assigned_to))
    if query.held_by is not None:
        wanted.append(("holder = ?", query.held_by))
    if query.workflow_id is not None:
        wanted.append(("workflow_id = ?", query.workflow_id))
    if query.search is not None:
        wanted.append(("instr(lower(id || char(10) || type || char(10) || title), lower(?)) > 0", query.search))
    return wanted


def _page(
    connection: sqlite3.Connection, kind: type[Record], order: str, wanted: Filters, query: Query[R]
) -> Page[Record]:
    if query.cursor is not None:
        wanted = [*wanted, _beyond(connection, kind, order, query.cursor)]
    where = " AND ".join(condition for condition, _ in wanted) or "1"
    direction = "DESC" if order == "seq" else "ASC"
    rows = connection.execute(
        f"SELECT {order}, body FROM {TABLES[kind]} WHERE {where} ORDER BY {order} {direction} LIMIT ?",
        (*(value for _, value in wanted), query.limit + 1),
    ).fetchall()
    records = [kind.model_validate_json(body) for _, body in rows[: query.limit]]
    return Page(records, str(rows[query.limit - 1][0]) if len(rows) > query.limit else None)


def _beyond(connection: sqlite3.Connection, kind: type[Record], order: str, cursor: str) -> tuple[str, object]:
    """The condition for what comes after the cursor."""
    # An agent may have been removed since; where others end is known by their numbers.
    if not (is_id(cursor) if order == "name" else _is_there(connection, kind, cursor)):
        raise InvalidCursor(
            f"{cursor[:40]!r} is not a cursor of this listing.", hint="Use the cursor of the last reply."
        )
    return ("name > ?", cursor) if order == "name" else ("seq < ?", int(cursor))


def _is_there(connection: sqlite3.Connection, kind: type[Record], cursor: str) -> bool:
    """Whether the cursor is the number of a record, written as a page writes it."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18 and str(int(cursor)) == cursor):
        return False
    return connection.execute(f"SELECT 1 FROM {TABLES[kind]} WHERE seq = ?", (int(cursor),)).fetchone() is not None


def read_events(connection: sqlite3.Connection, query: EventQuery) -> list[Event]:
    """A part of the log, oldest first."""
    marks = ", ".join("?" * len(query.channels))
    chosen = f"AND channel IN ({marks})" if query.channels else ""
    direction = "DESC" if query.newest else "ASC"
    rows = connection.execute(
        f"SELECT seq, id, channel, type, source, time, data FROM events WHERE seq > ? {chosen}"
        f" ORDER BY seq {direction} LIMIT ?",
        (query.after, *query.channels, query.limit),
    ).fetchall()
    events = [_event(row) for row in rows]
    return events[::-1] if query.newest else events


def _event(row: tuple[object, ...]) -> Event:
    seq, id, channel, type, source, time, data = row
    at = datetime.fromisoformat(str(time))
    return Event.whole(seq=seq, id=id, channel=channel, type=type, source=source, time=at, data=from_json(str(data)))


def read_due(connection: sqlite3.Connection, now: datetime, limit: int) -> Due:
    """What time has caught up with."""
    at = now.timestamp()
    due: list[tuple[float, Record]] = []
    following: list[float] = []
    for kind in (Agent, Workflow, Trigger, Task):
        table = TABLES[kind]
        rows = connection.execute(
            f"SELECT due_at, body FROM {table} WHERE due_at <= ? ORDER BY due_at LIMIT ?", (at, limit)
        )
        due += [(due_at, kind.model_validate_json(body)) for due_at, body in rows]
        (next_at,) = connection.execute(f"SELECT min(due_at) FROM {table} WHERE due_at > ?", (at,)).fetchone()
        following += [next_at] if next_at is not None else []
    due.sort(key=lambda pair: pair[0])
    next_at = min(following, default=None)
    return Due(
        [record for _, record in due[:limit]],
        datetime.fromtimestamp(next_at, now.tzinfo) if next_at else None,
    )


def read_stats(connection: sqlite3.Connection, now: datetime, url: str, size: int) -> Stats:
    """Counts of everything."""

    def by_status(table: str) -> dict[str, int]:
        return dict(connection.execute(f"SELECT status, count(*) FROM {table} GROUP BY status").fetchall())

    queues = _ready_by_priority(connection, now)
    (last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return Stats(
        mode="sqlite",
        url=url,
        tasks=cast("dict[TaskStatus, int]", by_status("tasks")),
        ready=queues.total(),
        queues=dict(queues),
        agents=cast("dict[AgentStatus, int]", by_status("agents")),
        workflows=cast("dict[WorkflowStatus, int]", by_status("workflows")),
        triggers=cast("dict[TriggerStatus, int]", by_status("triggers")),
        last_seq=last_seq,
        bytes=size,
    )


def _ready_by_priority(connection: sqlite3.Connection, now: datetime) -> Counter[Priority]:
    counts: Counter[Priority] = Counter()
    ready, woken = "claimable = 1", "claimable = 2 AND due_at <= ?"  # apart, so that each is read from its own index
    for which, values in ((ready, ()), (woken, (now.timestamp(),))):
        for rank, count in connection.execute(f"SELECT rank, count(*) FROM tasks WHERE {which} GROUP BY rank", values):
            counts[PRIORITIES[rank]] += count
    return counts


def read_all(connection: sqlite3.Connection) -> Generator[Record | Event]:
    """Everything, in one transaction, so from one moment."""
    connection.execute("BEGIN")
    try:
        for kind, order in ((Agent, "name"), (Workflow, "seq"), (Trigger, "seq"), (Task, "seq")):
            for (body,) in connection.execute(f"SELECT body FROM {TABLES[kind]} ORDER BY {order}"):
                yield kind.model_validate_json(body)
        for row in connection.execute("SELECT seq, id, channel, type, source, time, data FROM events ORDER BY seq"):
            yield _event(row)
    finally:
        connection.execute("ROLLBACK")
