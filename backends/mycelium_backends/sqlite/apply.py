"""Writing what rules want done. Call it within a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from pydantic_core import to_json

from mycelium.backend import Committed
from mycelium.errors import Conflict
from mycelium.models import PRIORITY_RANK, Agent, Event, Keeper, Record, Task, Trigger, Workflow
from mycelium.rules import Change, NewEvent, numbered

T = TypeVar("T")

LOG = "INSERT INTO events (seq, id, channel, type, source, time, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
UPDATE = "UPDATE tasks SET status = ?, holder = ?, claimable = ?, due_at = ?, body = ? WHERE id = ?"


class Applier:
    """Applies changes through one connection, numbering their events from `last_seq` on.

    `anybody_waits` tells whether some task waits on another: where none does, nothing of that is looked for.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        store_id: str,
        now: datetime,
        last_seq: int,
        anybody_waits: Callable[[], bool] = lambda: True,
    ) -> None:
        self._execute = connection.execute
        self._executemany = connection.executemany
        self._store_id = store_id
        self._now = now
        self._stamp = now.isoformat()
        self._last_seq = last_seq
        self._anybody_waits = anybody_waits
        self._log: list[tuple[object, ...]] = []
        """Rows of the log that are still to be written."""
        self._revived: list[str] = []
        """Tasks that this change takes back from an outcome."""
        self.wrote = False

    def apply(self, change: Change[T]) -> Committed[T]:
        """Write one change whole. If it raises, the transaction has to be rolled back."""
        if change.puts or change.removes or change.events or change.history:
            self.wrote = True
        for record in change.puts:
            self._put(record)
        for record in change.puts:
            if isinstance(record, Task) and record.depends_on:
                self._link(record)
        if self._revived:
            self._wait_again()
        for record in change.removes:
            self._remove(record)
        if change.history:
            self._take_over(change.history)
        return Committed(change.result, self._append(change.events) if change.events else ())

    def finish(self) -> None:
        """Write the events of all changes. Before the transaction is committed."""
        if self._log:
            self._executemany(LOG, self._log)
            self._log.clear()

    def _put(self, record: Record) -> None:
        match record:
            case Task() if record.version == 1:
                self._insert_task(record)
            case Task():
                self._update_task(record)
            case Agent():
                row = (record.name, record.status, _seconds(record.due_at), _body(record))
                self._execute("INSERT OR REPLACE INTO agents (name, status, due_at, body) VALUES (?, ?, ?, ?)", row)
            case Workflow():
                self._put_in("workflows", record, record.status)
            case Trigger():
                self._put_in("triggers", record, record.status)
            case Keeper():
                self._execute("INSERT OR REPLACE INTO keepers (id, body) VALUES (?, ?)", (record.key, _body(record)))
            case _:
                raise TypeError(type(record))

    def _remove(self, record: Record) -> None:
        match record:
            case Agent():
                self._execute("DELETE FROM agents WHERE name = ?", (record.name,))
            case Trigger():
                self._execute("DELETE FROM triggers WHERE id = ?", (record.id,))
            case _:
                raise TypeError(type(record))

    def _insert_task(self, task: Task) -> None:
        self._execute(
            "INSERT INTO tasks (id, type, title, assigned_to, workflow_id, rank, idempotency_key,"
            " lane, status, holder, claimable, due_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task.id,
                task.type,
                task.title,
                task.assigned_to or "",
                task.workflow_id,
                PRIORITY_RANK[task.priority],
                task.idempotency_key,
                task.lane,
                *self._found_by(task),
            ),
        )

    def _update_task(self, task: Task) -> None:
        row = (*self._found_by(task), task.id)
        if self._execute(f"{UPDATE} AND status IN ('pending', 'running')", row).rowcount == 0:
            if self._execute(UPDATE, row).rowcount == 0:
                return self._insert_task(task)
            if task.open:
                self._revived.append(task.id)
        if not self._anybody_waits():
            return None
        if task.depends_on and not task.blocked:
            self._execute("DELETE FROM waits WHERE dependent = ?", (task.id,))
        if not task.open:
            self._execute("DELETE FROM waits WHERE dependency = ?", (task.id,))
        return None

    def _found_by(self, task: Task) -> tuple[str, str | None, int | None, float | None, str]:
        """The columns that change in a task's life: status, holder, claimable, due_at, body."""
        since = task.claimable_from
        claimable = None if since is None else 1 if since <= self._now else 2
        return task.status, task.agent, claimable, _seconds(task.due_at), _body(task)

    def _link(self, task: Task) -> None:
        """Note which unfinished tasks a new, blocked task waits on."""
        if task.blocked:
            self._executemany(
                "INSERT OR IGNORE INTO waits (dependency, dependent, run_when)"
                " SELECT id, ?, ? FROM tasks WHERE id = ? AND status IN ('pending', 'running')",
                [(task.id, task.run_when, key) for key in task.depends_on],
            )

    def _wait_again(self) -> None:
        """Note who waits on tasks that have no outcome any more: blocked tasks forgot them when they had one."""
        # It looks at all that is blocked, which only a retry of a workflow costs.
        forgot = self._execute(
            "SELECT body FROM tasks WHERE id IN (SELECT dependent FROM waits) AND EXISTS (SELECT 1 FROM"
            " json_each(body, '$.depends_on') WHERE value IN (SELECT value FROM json_each(?)))",
            (json.dumps(self._revived),),
        )
        for (body,) in forgot.fetchall():
            self._link(Task.model_validate_json(body))
        self._revived.clear()

    def _put_in(self, table: str, record: Record, status: str) -> None:
        """Put a record that is listed in the order of creation, which a change leaves as it is."""
        row = (status, _seconds(record.due_at), _body(record), record.key)
        changed = self._execute(f"UPDATE {table} SET status = ?, due_at = ?, body = ? WHERE id = ?", row)
        if changed.rowcount == 0:
            self._execute(f"INSERT INTO {table} (status, due_at, body, id) VALUES (?, ?, ?, ?)", row)

    def _append(self, new: Sequence[NewEvent]) -> list[Event]:
        events = numbered(new, after=self._last_seq, store_id=self._store_id, time=self._now)
        for event in events:
            row = (event.seq, event.id, event.channel, event.type, event.source, self._stamp)
            self._write(*row, to_json(event.data).decode())
        self._last_seq += len(events)
        return events

    def _write(self, *row: object) -> None:
        """Note an event, to be written with all others."""
        self._log.append(row)

    def _take_over(self, history: Sequence[Event]) -> None:
        if self._last_seq:
            raise Conflict(
                "This store already has a history.", hint="Import into a new store.", last_seq=self._last_seq
            )
        for event in history:
            row = (event.seq, event.id, event.channel, event.type, event.source, event.time.isoformat())
            self._execute(LOG, (*row, to_json(event.data).decode()))
            self._last_seq = event.seq


def _body(record: Record) -> str:
    return record.model_dump_json(exclude_defaults=True)


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None
