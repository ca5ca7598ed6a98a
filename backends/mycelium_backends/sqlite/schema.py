"""The tables, and how an older store becomes a present one.

A record is kept whole as JSON in `body`; the columns beside it are what it is found by.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from mycelium.errors import SchemaTooNew
from mycelium_backends.sqlite.errors import damaged

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID: Final = 0x4D79636C
"""Marks the file as ours ("Mycl")."""
VERSION: Final = 2
"""The number of the last migration, kept in the file's `user_version`."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the store up to date. Call it with the file lock held.

    Raises:
        SchemaTooNew: a newer Mycelium made it.
        StoreDamaged: it is another program's database.
    """
    version = check(connection, path)
    if version == VERSION:
        return
    # Imported here, because a store that is up to date, which is nearly every one, opens faster without.
    from sqlite_utils import Database

    database = Database(connection)
    with database.atomic():
        for step in STEPS[version:]:
            step(database)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def check(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the store's schema; 0 for a new file. Raises as `migrate` does."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and owner != APPLICATION_ID:
        raise damaged(path, "it is another program's database")
    if version > VERSION:
        raise SchemaTooNew(
            f"The store {path} has schema {version}, this Mycelium knows {VERSION}.",
            hint="Update Mycelium (mycelium-mcp) here to at least the version that last used this store.",
            path=str(path),
            schema=version,
        )
    return version


def _first(database: Database) -> None:
    execute = database.conn.execute
    tasks = database.table("tasks").create(
        {
            "seq": int,  # the order of creation
            "id": str,
            "status": str,
            "type": str,
            "title": str,
            "assigned_to": str,  # '' for anyone
            "holder": str,
            "workflow_id": str,
            "rank": int,
            "claimable": int,  # 1 ready, 2 not before `due_at`, else null
            "due_at": float,
            "idempotency_key": str,
            "body": str,
        },
        pk="seq",
        not_null={"id", "status", "type", "title", "assigned_to", "rank", "body"},
    )
    tasks.create_index(["id"], unique=True)
    tasks.create_index(["status"])
    execute("CREATE INDEX tasks_next ON tasks (assigned_to, rank DESC, seq) WHERE claimable = 1")
    execute("CREATE INDEX tasks_next_of_type ON tasks (assigned_to, type, rank DESC, seq) WHERE claimable = 1")
    execute("CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL")
    execute("CREATE INDEX tasks_holder ON tasks (holder, seq) WHERE holder IS NOT NULL")
    execute("CREATE INDEX tasks_assigned ON tasks (assigned_to, seq) WHERE assigned_to <> ''")
    execute("CREATE INDEX tasks_workflow ON tasks (workflow_id, status) WHERE workflow_id IS NOT NULL")
    execute("CREATE UNIQUE INDEX tasks_key ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL")
    execute(
        "CREATE TABLE waits (dependency TEXT, dependent TEXT, run_when TEXT NOT NULL,"
        " PRIMARY KEY (dependency, dependent)) WITHOUT ROWID"
    )
    execute("CREATE INDEX waits_dependent ON waits (dependent)")
    agents = database.table("agents").create(
        {"name": str, "status": str, "due_at": float, "body": str}, pk="name", not_null={"status", "body"}
    )
    agents.create_index(["due_at"])
    workflows = database.table("workflows").create(
        {"seq": int, "id": str, "status": str, "body": str}, pk="seq", not_null={"id", "status", "body"}
    )
    workflows.create_index(["id"], unique=True)
    workflows.create_index(["status"])
    events = database.table("events").create(
        {
            "seq": int,
            "id": str,
            "channel": str,
            "type": str,
            "source": str,
            "time": str,
            "data": str,
        },
        pk="seq",
        not_null={"id", "channel", "type", "time", "data"},
    )
    events.create_index(["channel", "seq"])
    database.table("meta").insert({"key": "store_id", "value": uuid4().hex[:12]}, pk="key")


def _second(database: Database) -> None:
    execute = database.conn.execute
    database.table("tasks").add_column("lane", str, not_null_default="")  # what claims are matched by; '' for anyone
    execute("DROP INDEX tasks_next")
    execute("DROP INDEX tasks_next_of_type")
    execute("CREATE INDEX tasks_next ON tasks (assigned_to, lane, rank DESC, seq) WHERE claimable = 1")
    execute("CREATE INDEX tasks_next_of_type ON tasks (assigned_to, lane, type, rank DESC, seq) WHERE claimable = 1")
    database.table("workflows").add_column("due_at", float)
    execute("CREATE INDEX workflows_due ON workflows (due_at) WHERE due_at IS NOT NULL")
    triggers = database.table("triggers").create(
        {"seq": int, "id": str, "status": str, "due_at": float, "body": str},
        pk="seq",
        not_null={"id", "status", "body"},
    )
    triggers.create_index(["id"], unique=True)
    triggers.create_index(["status"])
    execute("CREATE INDEX triggers_due ON triggers (due_at) WHERE due_at IS NOT NULL")
    database.table("keepers").create({"id": str, "body": str}, pk="id", not_null={"body"})


STEPS: Final = (_first, _second)
"""Each brings the schema from its own index to the next number. Never change one that was released."""
