"""The same reads and writes by hand with sqlite3: one durable transaction for each call."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anyio

from mycelium_server.bench.team import CHANNEL, KIND, Roster, metadata, payload, result

SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE agents (name TEXT PRIMARY KEY, status TEXT, due_at REAL, body TEXT);
CREATE TABLE tasks (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, status TEXT, holder TEXT, body TEXT);
CREATE INDEX tasks_ready ON tasks (seq) WHERE status = 'pending';
CREATE INDEX tasks_held ON tasks (holder) WHERE holder IS NOT NULL;
CREATE TABLE events (seq INTEGER PRIMARY KEY, channel TEXT, type TEXT, source TEXT, time REAL, data TEXT);
CREATE INDEX events_of_channel ON events (channel, seq);
"""


class RawSqlite:
    """One connection, which the agents use in turn."""

    says: str = "sqlite3, one transaction for each call, synchronous=FULL"

    def __init__(self, folder: Path, agents: int) -> None:
        self._database = sqlite3.connect(folder / "raw.db", isolation_level=None)
        self._database.executescript(SCHEMA)
        self._roster = Roster(agents)
        self._turn = anyio.Lock()

    async def store_status(self, number: int) -> object:
        name, status = self._roster.name(number), self._roster.status(number)
        said = {"active_tasks": ["train-model"], "metadata": metadata(number), "last_updated": time.time()}
        async with self._turn:
            with self._transaction() as execute:
                execute("SELECT body FROM agents WHERE name = ?", (name,)).fetchone()
                row = (name, status, time.time() + 300, json.dumps(said))
                execute("INSERT OR REPLACE INTO agents VALUES (?, ?, ?, ?)", row)
                self._tell("agents:events", "agent.status", name, {"status": status})

    async def get_status(self, number: int) -> object:
        name = self._roster.name(number)
        async with self._turn:
            row = self._database.execute("SELECT status, body FROM agents WHERE name = ?", (name,)).fetchone()
            held = self._database.execute("SELECT body FROM tasks WHERE holder = ? LIMIT 100", (name,)).fetchall()
        return row[0], json.loads(row[1]), [json.loads(body) for (body,) in held]

    async def create(self, number: int) -> object:
        task = {"type": KIND, "title": f"task {number}", "payload": payload(number), "created_at": time.time()}
        async with self._turn:
            with self._transaction() as execute:
                row = (f"t-{number}", "pending", json.dumps(task))
                execute("INSERT INTO tasks (id, status, body) VALUES (?, ?, ?)", row)
                self._tell("tasks:events", "task.created", None, {"task_id": f"t-{number}", "task_type": KIND})

    async def claim(self, number: int) -> object:
        name = self._roster.name(number)
        async with self._turn:
            with self._transaction() as execute:
                (id, body) = execute(
                    "UPDATE tasks SET status = 'running', holder = ? WHERE seq ="
                    " (SELECT seq FROM tasks WHERE status = 'pending' ORDER BY seq LIMIT 1) RETURNING id, body",
                    (name,),
                ).fetchone()
                task = {**json.loads(body), "lease": {"agent": name, "expires_at": time.time() + 60}}
                execute("UPDATE tasks SET body = ? WHERE id = ?", (json.dumps(task), id))
                self._tell("tasks:events", "task.started", name, {"task_id": id})
        self._roster.held.append(id)

    async def update(self, number: int) -> object:
        await self._change(self._roster.one_held(number), "running", {"progress": 0.5}, "task.progress")

    async def complete(self, number: int) -> object:
        await self._change(self._roster.held.pop(), "completed", {"result": result(number)}, "task.completed")

    async def publish(self, number: int) -> object:
        async with self._turn:
            with self._transaction() as execute:
                self._tell(CHANNEL, "saved", "agent", {"step": number, "loss": 0.42})
            return execute("SELECT data FROM events ORDER BY seq DESC LIMIT 1").fetchone()

    async def aclose(self) -> None:
        """Close the database; its folder is removed by whoever made it."""
        self._database.close()

    async def _change(self, id: str, status: str, fields: dict[str, object], event: str) -> None:
        async with self._turn:
            with self._transaction() as execute:
                (body,) = execute("SELECT body FROM tasks WHERE id = ?", (id,)).fetchone()
                task = {**json.loads(body), **fields}
                row = (status, json.dumps(task), status, id)
                execute(
                    "UPDATE tasks SET status = ?, body = ?, holder = iif(? = 'running', holder, NULL) WHERE id = ?", row
                )
                self._tell("tasks:events", event, "agent", {"task_id": id})

    def _tell(self, channel: str, type: str, source: str | None, data: dict[str, Any]) -> None:
        self._database.execute(
            "INSERT INTO events (channel, type, source, time, data) VALUES (?, ?, ?, ?, ?)",
            (channel, type, source, time.time(), json.dumps(data)),
        )

    @contextmanager
    def _transaction(self) -> Generator[Any]:
        self._database.execute("BEGIN IMMEDIATE")
        yield self._database.execute
        self._database.execute("COMMIT")
