"""A store of an earlier schema is brought up to date where it lies, with everything in it."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from mycelium import Mycelium
from mycelium.models import Keeper, Trigger, TriggerQuery
from mycelium_backends.sqlite import open_backend
from mycelium_backends.sqlite.place import find_place
from mycelium_backends.sqlite.schema import APPLICATION_ID, STEPS, VERSION
from tests.contract.suite.kinds import puts, task, trigger, workflow
from tests.support.clock import FakeClock
from tests.support.store import claimed, snapshot

STATUSES = ("pending", "running", "completed", "failed", "cancelled", "skipped")


def first_store(path: Path, clock: FakeClock) -> None:
    """A store as the first schema had it: tasks in all statuses, one that waits, one for later, one for an agent."""
    soon, later = clock() + timedelta(seconds=20), clock() + timedelta(seconds=30)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        STEPS[0](Database(connection))
        connection.execute("PRAGMA user_version = 1")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        lease = {"agent": "ada", "token": 1, "expires_at": soon.isoformat(), "seconds": 60}
        for status in STATUSES:
            more = {"lease": lease, "token": 1, "attempt": 1} if status == "running" else {}
            held = {"holder": "ada", "due_at": soon.timestamp()} if status == "running" else {}
            ready = {"claimable": 1} if status == "pending" else {}
            _add(connection, clock, f"t-{status}", {"status": status, **more}, **held, **ready)
        _add(connection, clock, "t-mine", {"assigned_to": "ada"}, claimable=1, assigned_to="ada")
        at = {"not_before": later.isoformat()}
        _add(connection, clock, "t-later", at, claimable=2, due_at=later.timestamp())
        _add(connection, clock, "t-waits", {"depends_on": ["t-pending"], "blocked": True})
        connection.execute("INSERT INTO waits VALUES ('t-pending', 't-waits', 'all_succeeded')")
        connection.execute("INSERT INTO workflows (id, status, body) VALUES (?, ?, ?)",
                           ("w", "running", _body(clock, id="w", type="w", tasks=["t-pending"])))  # fmt: skip
        agent = json.dumps({"name": "ada", "status": "busy", "last_updated": clock().isoformat()})
        connection.execute("INSERT INTO agents VALUES ('ada', 'busy', ?, ?)", (clock().timestamp() + 300, agent))
        connection.execute("INSERT INTO events VALUES (1, 'a-1', 'tasks:events', 'task.created', null, ?, '{}')",
                           (clock().isoformat(),))  # fmt: skip


def _body(clock: FakeClock, **fields: Any) -> str:
    return json.dumps({**fields, "created_at": clock().isoformat(), "updated_at": clock().isoformat()})


def _add(connection: sqlite3.Connection, clock: FakeClock, id: str, fields: dict[str, Any], **columns: Any) -> None:
    row = {
        "id": id, "status": fields.get("status", "pending"), "type": "x", "title": "", "assigned_to": "", "rank": 1,
        "body": _body(clock, id=id, type="x", **fields), **columns,
    }  # fmt: skip
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO tasks ({', '.join(row)}) VALUES ({marks})", [*row.values()])


@pytest.fixture
def old(tmp_path: Path, clock: FakeClock) -> Path:
    path = tmp_path / "store.db"
    first_store(path, clock)
    return path


async def test_an_old_store_keeps_its_tasks_in_all_their_statuses(old: Path, clock: FakeClock) -> None:
    store = await open_backend(f"sqlite:///{old}", clock)
    async with Mycelium.over(store, agent="bob", clock=clock, background=False) as m:
        stats = await m.get_stats()
        assert stats.tasks == {**dict.fromkeys(STATUSES, 1), "pending": 4}
        assert (stats.ready, stats.workflows, stats.triggers, stats.last_seq) == (2, {"running": 1}, {}, 1)
        assert (await claimed(m)).id == "t-pending"
        assert await m.claim_task() is None
        await m.complete_task("t-pending")
        assert (await claimed(m)).id == "t-waits"
        assert (await claimed(m, agent="ada")).id == "t-mine"
        clock.advance(31)
        assert (await claimed(m)).id == "t-later"
        assert (await claimed(m)).id == "t-running"
        lines = await snapshot(m)
    assert sum('"kind":"task"' in line for line in lines) == 9
    await store.aclose()


async def test_an_upgraded_store_keeps_what_only_the_present_one_knows(old: Path, clock: FakeClock) -> None:
    store = await open_backend(f"sqlite:///{old}", clock)
    house = Keeper(since=clock(), at=clock())
    limited, fires = workflow(clock, "limited", timeout_at=clock()), trigger(clock, "fires")
    await store.commit(puts(fires, house, limited, task(clock, "gpu", queue="llm")))
    assert await store.get(Keeper, ["house"]) == [house]
    assert (await store.find(TriggerQuery())).records == [fires]
    assert limited in (await store.due(10)).records
    await store.aclose()
    again = await open_backend(f"sqlite:///{old}", clock)
    assert await again.get(Trigger, ["fires"]) == [fires]
    await again.aclose()


async def test_the_doctor_reads_an_old_store_and_says_what_opening_it_does(old: Path, clock: FakeClock) -> None:
    found = {each.subject: each.says for each in find_place(f"sqlite:///{old}").examine()}
    assert found["schema"] == f"1, which the next opening brings to {VERSION}"
    assert found["content"] == "9 tasks, 1 agents, 1 workflows, 1 events"
    await (await open_backend(f"sqlite:///{old}", clock)).aclose()
    found = {each.subject: each.says for each in find_place(f"sqlite:///{old}").examine()}
    assert found["schema"] == str(VERSION)
    assert found["content"] == "9 tasks, 1 agents, 1 workflows, 0 triggers, 1 events"
