"""A store that cannot be written, for any reason: a clear error, nothing half-written, and serving goes on."""

import fcntl
import os
import resource
import signal
import sqlite3
from pathlib import Path

import pytest

from mycelium import Mycelium
from mycelium.errors import BackendUnavailable, SchemaTooNew, StoreDamaged, StoreError, UnknownBackend
from tests.support.processes import Refused, serving

QUIET = {"MYCELIUM_LOG": "CRITICAL"}


async def refusal_of_a_create(store: Path) -> dict[str, object]:
    async with serving(store, "ada", **QUIET) as server:
        with pytest.raises(Refused) as refused:
            await server.call("create_task", type="never")
        with pytest.raises(Refused) as again:
            await server.call("get_stats")
        assert again.value.said["code"] == refused.value.said["code"], "serving went on, and said the same"
    return refused.value.said


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = await refusal_of_a_create(tmp_path / "file" / "store.db")
    assert said["code"] == "backend_unavailable"
    assert said["hint"]


async def test_a_store_whose_folder_returns_is_served_without_a_restart(tmp_path: Path) -> None:
    obstacle = tmp_path / "folder"
    obstacle.write_text("in the way")
    async with serving(obstacle / "store.db", "ada", **QUIET) as server:
        with pytest.raises(Refused):
            await server.call("create_task", type="early")
        obstacle.unlink()
        assert (await server.call("create_task", type="late"))["task_id"]


async def test_a_lock_that_is_never_freed_ends_in_an_error_that_names_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mycelium_backends.sqlite.lock.PATIENCE", 0.1)
    store = tmp_path / "store.db"
    async with Mycelium.open(f"sqlite:///{store}", background=False) as m:
        with (tmp_path / "store.db-lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(StoreError) as refused:
                await m.create_task("never")
        assert refused.value.code == "store_locked"
        assert str(os.getpid()) in refused.value.message
        assert (await m.create_task("later")).status == "pending"
        assert len((await m.list_tasks()).records) == 1


async def test_a_process_stopped_while_it_writes_does_not_lose_the_others_their_answers(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with serving(store, "ada") as stopped, serving(store, "grace") as other:
        await stopped.call("create_task", type="before")
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            assert (await other.call("create_task", type="meanwhile"))["task_id"]
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        assert (await stopped.call("create_task", type="after"))["task_id"]


async def test_a_database_locked_by_another_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mycelium_backends.sqlite.connection.BUSY_MS", 50)
    store = tmp_path / "store.db"
    async with Mycelium.open(f"sqlite:///{store}", background=False) as m:
        other = sqlite3.connect(store, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as refused:
            await m.create_task("never")
        assert refused.value.code == "store_locked"
        other.execute("ROLLBACK")
        other.close()
        assert (await m.create_task("later")).status == "pending"


async def test_a_full_disk_refuses_the_write_and_keeps_what_was_there(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with Mycelium.open(f"sqlite:///{store}", background=False) as m:
        kept = await m.create_task("before")
        size = (tmp_path / "store.db-wal").stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            # A limit on the size of files is the nearest thing to a full disk that needs no other rights.
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, before[1]))
            with pytest.raises(StoreError) as refused:
                await m.create_task("never", payload={"text": "x" * 100_000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert refused.value.code == "store_full"
        later = await m.create_task("after")
        assert {task.id for task in (await m.list_tasks()).records} == {kept.id, later.id}


async def test_a_store_of_a_newer_mycelium_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with Mycelium.open(f"sqlite:///{store}"):
        pass
    database = sqlite3.connect(store)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SchemaTooNew, match="99"):
        async with Mycelium.open(f"sqlite:///{store}"):
            pass


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "theirs.db"
    database = sqlite3.connect(store)
    database.execute("CREATE TABLE theirs (id INTEGER)")
    database.commit()
    database.close()
    before = store.read_bytes()
    with pytest.raises(StoreDamaged, match="another program"):
        async with Mycelium.open(f"sqlite:///{store}"):
            pass
    assert store.read_bytes() == before


async def test_a_store_that_is_removed_while_open_takes_no_more_writes(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with Mycelium.open(f"sqlite:///{store}", background=False) as m:
        await m.create_task("before")
        store.unlink()
        with pytest.raises(BackendUnavailable, match="removed"):
            await m.create_task("never")


@pytest.mark.parametrize("url", ["nothing://here", "sqlite:", "sqlite://host/x", "", "sqlite:///"])
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(UnknownBackend):
        async with Mycelium.open(url):
            pass
