"""Servers are killed and stopped, and files are damaged: nothing that was acknowledged is lost."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.errors import StoreDamaged
from tests.spine.conftest import NewStore
from tests.support.processes import MYCELIUM, PATIENCE, Refused, ServerProcess, serving

CREATES = 1000


def store_url(store: Path) -> str:
    return f"sqlite:///{store}"


async def create_until_killed(server: ServerProcess, *, kill_after: int) -> set[str]:
    """Ask for many tasks at once, kill the server in the middle; the ids it acknowledged."""
    acknowledged: set[str] = set()

    async def create(number: int) -> None:
        with suppress(anyio.BrokenResourceError):
            answer = await server.call("create_task", type="crash", payload={"number": number})
            acknowledged.add(answer["task_id"])
            if len(acknowledged) == kill_after:
                os.kill(server.pid, signal.SIGKILL)

    async with anyio.create_task_group() as tasks:
        for number in range(CREATES):
            tasks.start_soon(create, number)
    return acknowledged


async def test_every_acknowledged_task_survives_a_kill_in_the_middle_of_creating(new_store: NewStore) -> None:
    store = new_store()
    async with serving(store, "ada") as server:
        acknowledged = await create_until_killed(server, kill_after=300)
        assert 300 <= len(acknowledged) < CREATES
    if store.startswith("sqlite"):
        database = sqlite3.connect(store.removeprefix("sqlite:///"))
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
    async with serving(store, "grace") as server:
        for task_id in acknowledged:
            assert (await server.call("get_task", task_id=task_id))["task"]["status"] == "pending"


async def test_leases_of_a_killed_agent_come_back_when_they_expire(new_store: NewStore) -> None:
    store = new_store()
    async with serving(store, "ada") as dead, serving(store, "grace") as living:
        task_id = (await dead.call("create_task", type="work"))["task_id"]
        await dead.call("claim_task", task_id=task_id, lease_seconds=1)
        after = (await living.call("read_events"))["cursor"]
        os.kill(dead.pid, signal.SIGKILL)
        assert (await living.call("claim_task"))["task"] is None
        seen = await living.call("read_events", channels=["tasks:events"], after=after, wait_seconds=30)
        assert seen["events"][0]["type"] == "task.expired"
        assert seen["events"][0]["data"]["holder"] == "ada"
        assert (await living.call("claim_task"))["task"]["id"] == task_id


async def test_a_worker_stopped_past_its_lease_is_refused_and_told_who_holds_the_task(new_store: NewStore) -> None:
    store = new_store()
    async with serving(store, "ada") as stopped, serving(store, "grace") as other:
        task_id = (await stopped.call("create_task", type="work"))["task_id"]
        await stopped.call("claim_task", task_id=task_id, lease_seconds=1)
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            await wait_until_claimed(other, task_id)
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        with pytest.raises(Refused) as refused:
            await stopped.call("complete_task", task_id=task_id, result={"late": True})
        assert refused.value.said["code"] == "stale_lease"
        assert refused.value.said["holder"] == "grace"
        done = await other.call("complete_task", task_id=task_id, result={"late": False})
        assert done["task"]["result"] == {"late": False}


async def wait_until_claimed(server: ServerProcess, task_id: str) -> None:
    """Claim the task as soon as its lease has expired."""
    after = 0
    with anyio.fail_after(PATIENCE):
        while True:
            if (await server.call("claim_task"))["task"] is not None:
                return
            seen = await server.call("read_events", channels=["tasks:events"], after=after, wait_seconds=30)
            after = seen["cursor"]


async def test_leases_are_renewed_for_as_long_as_the_client_is_connected(new_store: NewStore) -> None:
    store = new_store()
    async with serving(store, "ada") as busy, serving(store, "grace") as other:
        task_id = (await busy.call("create_task", type="work"))["task_id"]
        first = (await busy.call("claim_task", task_id=task_id, lease_seconds=1))["task"]["lease"]["expires_at"]
        with anyio.fail_after(PATIENCE):
            renewed = first
            while renewed <= first:
                await other.call("read_events", channels=["nothing:here"], wait_seconds=0.2)
                renewed = (await other.call("get_task", task_id=task_id))["task"]["lease"]["expires_at"]
        assert (await other.call("claim_task"))["task"] is None


async def test_leases_are_released_when_the_connection_ends(new_store: NewStore) -> None:
    store = new_store()
    async with serving(store, "grace") as other:
        async with serving(store, "ada") as leaving:
            task_id = (await leaving.call("create_task", type="work"))["task_id"]
            await leaving.call("claim_task", task_id=task_id, lease_seconds=3600)
        assert (await other.call("claim_task"))["task"]["id"] == task_id
        assert (await other.call("get_agent_status", agent="ada"))["agent"]["status"] == "offline"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "not a database": lambda _content: b"this was never a database" * 400,
    "a cut file": lambda content: content[: len(content) // 2],
    "a page of rubbish": lambda content: content[:8192] + b"\xa5" * 4096 + content[12288:],
    "a rubbish header": lambda content: content[:16] + b"\xff" * 84 + content[100:],
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_store_is_refused_and_left_as_it_was(tmp_path: Path, damage: str) -> None:
    store = tmp_path / "store.db"
    async with Mycelium.open(store_url(store)) as m:
        for number in range(50):
            await m.create_task("fill", payload={"number": number, "text": "x" * 500})
    store.write_bytes(DAMAGES[damage](store.read_bytes()))
    before = store.read_bytes()
    with pytest.raises(StoreDamaged) as refused:
        async with Mycelium.open(store_url(store)):
            pass
    assert str(store) in refused.value.message
    async with serving(store, "ada", MYCELIUM_LOG="CRITICAL") as server:
        with pytest.raises(Refused) as answer:
            await server.call("create_task", type="never")
    assert answer.value.said["code"] == "store_damaged"
    asked = await anyio.run_process([MYCELIUM, "tasks", "--backend", store_url(store)], check=False)
    assert asked.returncode != 0
    assert b"store_damaged" in asked.stderr
    assert store.read_bytes() == before
