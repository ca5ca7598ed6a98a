"""The view of a group of changes: what nearly every claim and completion asks for is read once for all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar, cast

from mycelium.models import Agent, Record, Task
from mycelium.rules import Change, Terms, Waiter
from mycelium_backends.sqlite.view import SqliteView

R = TypeVar("R", bound=Record)


class RememberingView(SqliteView):
    """Remembers agents, in which lanes there is work, and whether anybody waits.

    It is good for one transaction, and must be told of every change that is written there (`forget`).
    """

    def __init__(self, connection: sqlite3.Connection, now: datetime, terms: Terms) -> None:
        super().__init__(connection, now, terms)
        self._agents: dict[str, Agent | None] = {}
        self._lanes_of: dict[str, Sequence[tuple[str, str]]] = {}
        self._waits: bool | None = None

    def forget(self, change: Change[Any]) -> None:
        for record in chain(change.puts, change.removes):
            if isinstance(record, Agent):
                self._agents.pop(record.name, None)
            elif isinstance(record, Task):
                if record.lane:
                    self._lanes_of.clear()
                if record.depends_on:
                    self._waits = None

    def get(self, kind: type[R], key: str) -> R | None:
        if kind is not Agent:
            return super().get(kind, key)
        if key not in self._agents:
            self._agents[key] = super().get(Agent, key)
        return cast("R | None", self._agents[key])

    def anybody_waits(self) -> bool:
        """Whether some task waits on another."""
        if self._waits is None:
            self._waits = self._execute("SELECT 1 FROM waits LIMIT 1").fetchone() is not None
        return self._waits

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        return super().waiters(task_ids) if self.anybody_waits() else [()] * len(task_ids)

    def _other_lanes(self, agent: str) -> Sequence[tuple[str, str]]:
        if agent not in self._lanes_of:
            self._lanes_of[agent] = super()._other_lanes(agent)
        return self._lanes_of[agent]
