"""Reading records by their keys and links."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence, Set
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar

from mycelium.models import Agent, ClaimRequest, Keeper, Record, Task, TaskStatus, Trigger, Workflow, lane_fits
from mycelium.rules import NO_TERMS, Change, Terms, Waiter

R = TypeVar("R", bound=Record)

BY_KEY: dict[type[Record], str] = {
    Task: "SELECT body FROM tasks WHERE id = ?",
    Agent: "SELECT body FROM agents WHERE name = ?",
    Workflow: "SELECT body FROM workflows WHERE id = ?",
    Trigger: "SELECT body FROM triggers WHERE id = ?",
    Keeper: "SELECT body FROM keepers WHERE id = ?",
}
WAKE = "UPDATE tasks SET claimable = 1 WHERE claimable = 2 AND due_at <= ?"
LANES: Final = """
    WITH RECURSIVE lanes (owner, lane) AS (
        SELECT column1, '' FROM (VALUES (?), (''))
        UNION ALL
        SELECT owner, (SELECT next.lane FROM tasks AS next WHERE next.claimable = 1 AND next.assigned_to = owner
                       AND next.lane > lanes.lane ORDER BY next.lane LIMIT 1)
        FROM lanes WHERE lane IS NOT NULL
    ) SELECT owner, lane FROM lanes WHERE lane > ''"""
"""The lanes that have ready tasks, besides the plain one: one step in the index for each, however many tasks."""
HEADS: Final = 200
"""Queues in one question; SQLite takes 500."""


class SqliteView:
    """See `mycelium.rules.View`: what one connection sees, inside a transaction if a rule reads it."""

    def __init__(self, connection: sqlite3.Connection, now: datetime, terms: Terms = NO_TERMS) -> None:
        self._execute = connection.execute
        self._woken = False
        self.now = now
        self.terms = terms

    def forget(self, change: Change[Any]) -> None:
        """This was written in the same transaction. Nothing is remembered here."""

    def get(self, kind: type[R], key: str) -> R | None:
        row = self._execute(BY_KEY[kind], (key,)).fetchone()
        return kind.model_validate_json(row[0]) if row else None

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        return [self.get(kind, key) for key in keys]

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        query = "SELECT body FROM tasks WHERE idempotency_key = ?"
        rows = [self._execute(query, (key,)).fetchone() for key in keys]
        return [Task.model_validate_json(row[0]) if row else None for row in rows]

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        return [self._waiters(task_id) for task_id in task_ids]

    def _waiters(self, task_id: str) -> Sequence[Waiter]:
        rows = self._execute("SELECT dependent, run_when FROM waits WHERE dependency = ?", (task_id,))
        return [Waiter(*row) for row in rows.fetchall()]

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        rows = self._execute("SELECT dependency FROM waits WHERE dependent = ?", (task_id,))
        return any(dependency not in settled for (dependency,) in rows)

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        return any(self._has(workflow_id, status, besides) for status in statuses)

    def has_room(self, agent: str) -> bool:
        most = self.terms.max_tasks
        if most is None:
            return True
        held = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE holder = ? LIMIT ?)"
        return self._execute(held, (agent, most)).fetchone()[0] < most

    def _has(self, workflow_id: str, status: TaskStatus, besides: Set[str]) -> bool:
        rows = self._execute("SELECT id FROM tasks WHERE workflow_id = ? AND status = ?", (workflow_id, status))
        return any(key not in besides for (key,) in rows)

    def next_ready(self, request: ClaimRequest) -> Task | None:
        """The most urgent, oldest ready task that this agent may take and that fits what it asks for."""
        if not self._woken:
            self._execute(WAKE, (self.now.timestamp(),))
            self._woken = True
        lanes = self._lanes(request)
        queues = [(*lane, type) for lane in lanes for type in request.types] if request.types else lanes
        found = [self._first(queues[start : start + HEADS]) for start in range(0, len(queues), HEADS)]
        first = max((row for row in found if row), key=lambda row: (row[0], -row[1]), default=None)
        return Task.model_validate_json(first[2]) if first else None

    def _lanes(self, request: ClaimRequest) -> list[tuple[str, ...]]:
        """The lanes that fit this agent: of tasks assigned to it, and of those for anyone."""
        plain = [(request.agent, ""), ("", "")] if lane_fits("", request.queues, request.capabilities) else []
        plain = plain[:1] if request.addressed else plain
        others = self._other_lanes(request.agent)
        return [*plain, *(each for each in others if lane_fits(each[1], request.queues, request.capabilities))]

    def _other_lanes(self, agent: str) -> Sequence[tuple[str, str]]:
        """The lanes with ready tasks of this agent's, or for anyone, each with whose it is."""
        return self._execute(LANES, (agent,)).fetchall()

    def _first(self, queues: Sequence[tuple[str, ...]]) -> tuple[int, int, str] | None:
        """The first task of all these queues: its rank, its place and its body."""
        return self._execute(_first_of(len(queues), len(queues[0])), (*chain.from_iterable(queues),)).fetchone()

    def waiting_on(self, task_id: str, limit: int) -> list[str]:
        rows = self._execute("SELECT dependency FROM waits WHERE dependent = ? LIMIT ?", (task_id, limit))
        return [dependency for (dependency,) in rows]

    def last_seq(self) -> int:
        return self._execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]


@cache
def _first_of(queues: int, parts: int) -> str:
    """Find the head of each queue that is asked for (by assignee, lane and perhaps type), and of those the first."""
    of_type = " AND type = ?" if parts == 3 else ""
    head = (
        "SELECT * FROM (SELECT rank, seq FROM tasks WHERE claimable = 1 AND assigned_to = ? AND lane = ?"
        f"{of_type} ORDER BY rank DESC, seq LIMIT 1)"
    )
    heads = " UNION ALL ".join([head] * queues)
    return f"SELECT rank, seq, body FROM tasks WHERE seq = (SELECT seq FROM ({heads}) ORDER BY rank DESC, seq LIMIT 1)"
