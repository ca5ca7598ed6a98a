"""The index: the tables of the SQLite backend, made from the files, and what it takes to know a changed file.

It is shared by all processes on the folder and can be made anew at any time; the files are what counts. Nothing in it
is brought to the disk by a commit: after a power cut, what it lacks is taken up from the files again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from mycelium.errors import StoreDamaged
from mycelium.models import PRIORITY_RANK, Agent, Event, Record, Task, TaskStatus, Trigger, Workflow
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.sections import Glance
from mycelium_backends.sqlite import connection as connections
from mycelium_backends.sqlite.errors import translated
from mycelium_backends.sqlite.schema import migrate

R = TypeVar("R", bound=Record)

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,
    signature TEXT NOT NULL, fault TEXT, plain INTEGER NOT NULL, ticks TEXT NOT NULL,
    digest INTEGER NOT NULL, seq INTEGER, body TEXT)""",
    "CREATE INDEX IF NOT EXISTS events_id ON events (id)",
    "CREATE INDEX IF NOT EXISTS files_key ON files (kind, key)",
    "CREATE INDEX IF NOT EXISTS files_fault ON files (name) WHERE fault IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS told (kind TEXT, key TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS past (kind TEXT, key TEXT, version INTEGER, body TEXT NOT NULL, digests TEXT NOT NULL,
    PRIMARY KEY (kind, key, version)) WITHOUT ROWID""",
)
PAST: Final = 50
"""Versions of a record that are remembered, for files that were opened in an editor before and are saved now."""
KINDS: Final[dict[str, type[Record]]] = {
    "task": Task, "agent": Agent, "workflow": Workflow, "trigger": Trigger,
}  # fmt: skip
"""Those that have files. The others live in the tables alone, where losing them does no harm."""
BODY: Final = {
    "task": "SELECT body, seq FROM tasks WHERE id = ?",
    "agent": "SELECT body, 0 FROM agents WHERE name = ?",
    "workflow": "SELECT body, seq FROM workflows WHERE id = ?",
    "trigger": "SELECT body, seq FROM triggers WHERE id = ?",
}
DROP: Final = {
    "task": "DELETE FROM tasks WHERE id = ?",
    "agent": "DELETE FROM agents WHERE name = ?",
    "workflow": "DELETE FROM workflows WHERE id = ?",
    "trigger": "DELETE FROM triggers WHERE id = ?",
}
UNSEEN: Final = """
WITH broken(id, status) AS (
    SELECT key, coalesce(json_extract(body, '$.status'), 'pending') FROM files
    WHERE fault IS NOT NULL AND kind = 'task' AND json_extract(body, '$.workflow_id') = :workflow
), listed(id) AS (
    SELECT value FROM workflows, json_each(workflows.body, '$.tasks') WHERE workflows.id = :workflow
), gone(id, status) AS (
    SELECT id, coalesce((SELECT json_extract(data, '$.status') FROM events WHERE type = 'task.removed'
    AND json_extract(data, '$.task_id') = listed.id ORDER BY seq DESC LIMIT 1), 'pending') FROM listed
    WHERE id NOT IN (SELECT id FROM tasks) AND id NOT IN (SELECT id FROM broken)
) SELECT id, status FROM broken UNION ALL SELECT id, status FROM gone
"""
CHUNK: Final = 500
"""Values in one question."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a file."""

    name: str
    kind: str
    key: str
    signature: str
    fault: str | None
    """Why its record cannot be had; None if it can."""
    plain: bool
    """Whether nothing in it is people's."""
    ticks: tuple[int, int]
    digest: int = 0
    """Of what stands in it, as `digest_of` says."""
    seq: int | None = None
    body: str | None = None
    """Of a file with a fault: the place of its record among the others, and the record as it was last."""


def open_index(folder: Folder) -> sqlite3.Connection:
    """A connection that may write; with an index that is damaged made anew. Call it with the lock held."""
    try:
        with translated(folder.index):
            connections.inspect(folder.index)
    except StoreDamaged:
        _remove(folder.index)
    connection = connections.writer(folder.index)
    migrate(connection, folder.index)
    for statement in TABLES:
        connection.execute(statement)
    # A commit is durable by the journal. Without this the index would be synced at each one, for nothing.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _remove(index: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        index.with_name(f"{index.name}{suffix}").unlink(missing_ok=True)


class Index:
    """Questions to one connection that only the markdown backend has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def meta(self, key: str) -> str:
        row = self._execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def note(self, key: str, value: str) -> None:
        self._execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def row(self, name: str) -> Row | None:
        """What is known of the file of this name."""
        return next(self._rows("name = ?", (name,)), None)

    def rows_of(self, kind: str, key: str) -> list[Row]:
        """What is known of the files that claim to hold this record; the one that does comes first."""
        return list(self._rows("kind = ? AND key = ? ORDER BY fault IS NOT NULL", (kind, key)))

    def faults(self) -> list[Row]:
        return list(self._rows("fault IS NOT NULL ORDER BY name", ()))

    def signatures(self) -> dict[str, str]:
        return dict(self._execute("SELECT name, signature FROM files").fetchall())

    def size(self) -> int:
        """Bytes of all files."""
        return sum(int(signature.rpartition(":")[2] or 0) for signature in self.signatures().values())

    def _rows(self, where: str, values: Sequence[object]) -> Iterator[Row]:
        columns = "name, kind, key, signature, fault, plain, ticks, digest, seq, body"
        for row in self._execute(f"SELECT {columns} FROM files WHERE {where}", values):
            name, kind, key, signature, fault, plain, ticks, digest, seq, body = row
            done, boxes = json.loads(ticks)
            yield Row(name, kind, key, signature, fault, bool(plain), (done, boxes), digest, seq, body)

    def put(self, row: Row) -> None:
        self._execute(
            "INSERT OR REPLACE INTO files (name, kind, key, signature, fault, plain, ticks, digest, seq, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row.name, row.kind, row.key, row.signature, row.fault, row.plain, json.dumps(row.ticks), row.digest,
             row.seq, row.body),
        )  # fmt: skip

    def remove(self, name: str) -> None:
        self._execute("DELETE FROM files WHERE name = ?", (name,))

    def record(self, kind: str, key: str) -> tuple[Record | None, int]:
        """A record, and its place among those of its kind."""
        row = self._execute(BODY[kind], (key,)).fetchone()
        return (KINDS[kind].model_validate_json(row[0]), row[1]) if row else (None, 0)

    def drop(self, kind: str, key: str) -> None:
        """Take a record out of the tables."""
        self._execute(DROP[kind], (key,))

    def place_at(self, record: Record, seq: int) -> None:
        """Give a record its place among those of its kind."""
        table = {"task": "tasks", "workflow": "workflows", "trigger": "triggers"}.get(record.kind)
        if table is not None:
            self._execute(f"UPDATE {table} SET seq = ? WHERE id = ?", (seq, record.key))

    def find_by(self, task: Task) -> None:
        """Bring up to date what a task is found by that no rule but an edit changes."""
        self._execute(
            "UPDATE tasks SET type = ?, title = ?, assigned_to = ?, rank = ?, lane = ? WHERE id = ?",
            (task.type, task.title, task.assigned_to or "", PRIORITY_RANK[task.priority], task.lane, task.id),
        )

    def wait(self, task: Task) -> None:
        """Note that a task also waits on those of its dependencies that are not there."""
        if task.blocked:
            for key in task.depends_on:
                self._execute(
                    "INSERT OR IGNORE INTO waits (dependency, dependent, run_when)"
                    " SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = ?)",
                    (key, task.id, task.run_when, key),
                )

    def wait_no_more(self, *, dependent: str = "", dependency: str = "") -> None:
        self._execute("DELETE FROM waits WHERE dependent = ? OR dependency = ?", (dependent, dependency))

    def remember(self, record: Record, digest: int) -> None:
        """Keep a version of a record, with what its file was like, for `earlier`."""
        body = record.model_dump_json(exclude_defaults=True)
        self._execute(
            "INSERT INTO past (kind, key, version, body, digests) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET body = excluded.body, digests = digests || ' ' || excluded.digests",
            (record.kind, record.key, record.version, body, str(digest)),
        )
        self._execute(
            "DELETE FROM past WHERE kind = ? AND key = ? AND version <= ?",
            (record.kind, record.key, record.version - PAST),
        )

    def earlier(self, kind: type[R], key: str, version: int) -> tuple[R, frozenset[int]] | None:
        """A record as it was at an earlier version and what its file was like then, if that is remembered."""
        where = (kind.kind, key, version)
        query = "SELECT body, digests FROM past WHERE kind = ? AND key = ? AND version = ?"
        found = self._execute(query, where).fetchone()
        return (kind.model_validate_json(found[0]), frozenset(map(int, found[1].split()))) if found else None

    def events(self) -> Iterator[Event]:
        """Every event, by its number."""
        columns = ("seq", "id", "channel", "type", "source", "time", "data")
        for row in self._execute(f"SELECT {', '.join(columns)} FROM events ORDER BY seq"):
            fields = dict(zip(columns, row, strict=True))
            yield Event.model_validate({**fields, "data": json.loads(fields["data"])})

    def knows_event(self, id: str) -> bool:
        return self._execute("SELECT 1 FROM events WHERE id = ?", (id,)).fetchone() is not None

    def tell(self, records: Iterable[tuple[str, str]]) -> None:
        """Note that an event that came from elsewhere tells of these records, by kind and key."""
        for kind, key in set(records):
            self._execute("INSERT OR IGNORE INTO told (kind, key) VALUES (?, ?)", (kind, key))

    def told(self, records: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those of these records that such an event told of; asked once, it is forgotten."""
        remove = "DELETE FROM told WHERE kind = ? AND key = ? RETURNING kind"
        return frozenset(each for each in records if self._execute(remove, each).fetchall())

    def order_of_creation(self) -> dict[str, int]:
        """The numbers of the events that told of new tasks, workflows and triggers, by their ids."""
        rows = self._execute(
            "SELECT json_extract(data, '$.' || substr(type, 1, instr(type, '.') - 1) || '_id'), min(seq) FROM events"
            " WHERE type IN ('task.created', 'workflow.created', 'trigger.created') GROUP BY 1"
        )
        return dict(rows.fetchall())

    def unseen(self, workflow_id: str) -> dict[str, TaskStatus]:
        """How those tasks of a workflow stood last whose files are broken or missing, by id.

        One that nobody here has ever read is pending.
        """
        return dict(self._execute(UNSEEN, {"workflow": workflow_id}).fetchall())

    def glances(self, record: Record) -> dict[str, Glance]:
        """What the record's file tells of other tasks."""
        match record:
            case Task():
                return {} if not record.depends_on else dict(self._glances(record.depends_on))
            case Workflow():
                return dict(self._glances(record.tasks))
            case Agent():
                return dict(self._held_by(record))
            case Trigger():
                return {}
            case _:
                raise TypeError(type(record))

    def _glances(self, ids: Sequence[str]) -> Iterator[tuple[str, Glance]]:
        for start in range(0, len(ids), CHUNK):
            chosen = ids[start : start + CHUNK]
            marks = ", ".join("?" * len(chosen))
            for id, *shown in self._execute(f"SELECT id, type, status FROM tasks WHERE id IN ({marks})", chosen):
                yield id, Glance(*shown)

    def _held_by(self, agent: Agent) -> Iterable[tuple[str, Glance]]:
        if agent.active_tasks:
            held = "SELECT id, type, status, json_extract(body, '$.started_at') FROM tasks WHERE holder = ?"
            for id, *shown in self._execute(held, (agent.name,)):
                yield id, Glance(*shown)
