"""A connection's life: the store opened behind it, its agent, its leases, its end."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from mcp import Client

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium.errors import InvalidId, StoreDamaged, StoreReadOnly
from mycelium.models import Agent
from mycelium_backends.memory import MemoryBackend
from mycelium_server.assembly.server import build_server, store_at
from mycelium_server.session import Opener
from tests.support.connection import Connection, connect

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(system_clock)


@asynccontextmanager
async def served(opener: Opener) -> AsyncGenerator[Connection, None]:
    async with Client(build_server(opener), mode="legacy") as client:
        yield Connection(client)


async def test_tools_are_listed_before_the_store_is_open(backend: MemoryBackend) -> None:
    gate = anyio.Event()

    @asynccontextmanager
    async def slow() -> AsyncGenerator[Mycelium, None]:
        await gate.wait()
        async with Mycelium.over(backend) as client:
            yield client

    with anyio.fail_after(10):
        async with served(slow) as ada, anyio.create_task_group() as tasks:
            tasks.start_soon(ada.ask, "get_stats")
            assert len((await ada.client.list_tools()).tools) == 17
            gate.set()


async def test_a_store_that_cannot_be_opened_is_tried_again_at_the_next_call(
    backend: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []

    @asynccontextmanager
    async def mended_later() -> AsyncGenerator[Mycelium, None]:
        attempts.append(1)
        if len(attempts) < 3:
            raise StoreDamaged("team.db is not a database.", hint="Restore it from a copy.")
        async with Mycelium.over(backend) as client:
            yield client

    async with served(mended_later) as ada:
        for _ in range(2):
            refused = await ada.refused("get_stats")
            assert (refused["code"], refused["hint"]) == ("store_damaged", "Restore it from a copy.")
        assert (await ada.ask("get_stats"))["mode"] == "memory"
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == ["the store is not open: team.db is not a database. Restore it from a copy."] * 2


async def test_a_store_that_breaks_is_opened_again(backend: MemoryBackend) -> None:
    breaking = anyio.Event()
    openings: list[Mycelium] = []

    @asynccontextmanager
    async def fragile() -> AsyncGenerator[Mycelium, None]:
        async def fail() -> None:
            await breaking.wait()
            raise OSError("gone")

        async with Mycelium.over(backend) as client, anyio.create_task_group() as tasks:
            if not openings:
                tasks.start_soon(fail)
            openings.append(client)
            yield client

    async with served(fragile) as ada:
        await ada.ask("get_stats")
        breaking.set()
        with anyio.fail_after(10):
            while len(openings) < 2:
                await ada.call("get_stats")
        assert (await ada.ask("get_stats"))["mode"] == "memory"


@both_eras
async def test_an_agent_is_there_from_its_first_call_and_gone_at_the_end(backend: MemoryBackend, mode: str) -> None:
    async with connect(backend, "ada", mode=mode) as ada:
        assert (await ada.ask("get_agent_status"))["agent"]["name"] == "ada"
    async with Mycelium.over(backend) as m:
        assert (await m.get_agent_status("ada")).status == "offline"


async def test_an_agent_with_two_connections_is_there_until_both_have_left(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mycelium_server.session.SEE_EVERY", 0.01)
    async with connect(backend, "ada") as ada:
        await ada.ask("get_stats")
        async with connect(backend, "ada") as other:
            await other.ask("get_stats")
        with anyio.fail_after(10):
            while await status_of(backend, "ada") == "offline":
                await anyio.lowlevel.checkpoint()
    assert await status_of(backend, "ada") == "offline"


async def test_an_agent_that_waits_longer_than_its_ttl_is_there(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mycelium_server.session.SEE_EVERY", 0.01)
    async with connect(backend, "ada") as ada:
        await ada.ask("get_stats")
        await ada.ask("set_agent_status", ttl=0.4, status="busy")
        cursor = (await ada.ask("read_events"))["cursor"]
        waited = await ada.ask("read_events", channels=["agents:events"], after=cursor, wait_seconds=1.2)
        assert waited["events"] == []
        assert await status_of(backend, "ada") == "busy"


async def test_an_agent_that_says_it_is_offline_stays_so_until_its_next_call(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mycelium_server.session.SEE_EVERY", 0.01)
    async with connect(backend, "ada") as ada:
        await ada.ask("get_stats")
        await ada.ask("set_agent_status", status="offline")
        await anyio.sleep(0.1)  # ten looks
        assert await status_of(backend, "ada") == "offline"
        with anyio.fail_after(10):
            while await status_of(backend, "ada") == "offline":
                await ada.ask("get_stats")


async def status_of(backend: MemoryBackend, name: str) -> str:
    (agent,) = await backend.get(Agent, [name])
    assert agent is not None
    return agent.status


async def test_a_connection_that_calls_nothing_leaves_no_agent(backend: MemoryBackend) -> None:
    async with connect(backend, "ada") as ada:
        await ada.client.list_tools()
    assert await backend.get(Agent, ["ada"]) == [None]


async def test_a_call_in_anothers_name_makes_only_that_one_known(backend: MemoryBackend) -> None:
    async with connect(backend, "ada") as ada:
        await ada.ask("claim_task", agent="bob")
        assert [agent is not None for agent in await backend.get(Agent, ["ada", "bob"])] == [False, True]


async def test_presence_that_cannot_be_noted_fails_no_call(backend: MemoryBackend) -> None:
    class Deaf(Mycelium):
        async def see(self, agent: str | None = None) -> None:
            raise StoreReadOnly("read only")

    async with served(lambda: Deaf.over(backend, agent="ada")) as ada:
        assert (await ada.ask("get_stats"))["agents"] == {}


async def test_a_name_that_is_none_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(InvalidId):
        store_at("memory:", "not/a/name")


@both_eras
async def test_a_lease_needs_no_token_here_and_its_token_elsewhere(backend: MemoryBackend, mode: str) -> None:
    async with connect(backend, "ada", mode=mode) as ada, connect(backend, "bob", mode=mode) as bob:
        task_id = (await ada.ask("create_task", type="build"))["task_id"]
        token = (await ada.ask("claim_task"))["lease_token"]
        refused = await bob.refused("complete_task", task_id=task_id)
        assert (refused["code"], refused["holder"]) == ("stale_lease", "ada")
        assert (await bob.ask("update_task", task_id=task_id, progress=0.1, lease_token=token))["task"][
            "progress"
        ] == 0.1
        assert (await ada.ask("complete_task", task_id=task_id))["task"]["status"] == "completed"


async def test_a_lease_is_renewed_while_connected_and_released_at_the_end(backend: MemoryBackend) -> None:
    async with connect(backend, "bob") as bob:
        async with connect(backend, "ada") as ada:
            task_id = (await ada.ask("create_task", type="build"))["task_id"]
            await ada.ask("claim_task", lease_seconds=0.3)
            cursor = (await bob.ask("read_events"))["cursor"]
            # Three times the lease: unrenewed, it would have expired within this wait.
            quiet = await bob.ask("read_events", channels=["tasks:events"], after=cursor, wait_seconds=0.9)
            assert quiet["events"] == []
        ended = await bob.ask("read_events", channels=["tasks:events"], after=cursor, wait_seconds=10)
        assert [event["type"] for event in ended["events"]] == ["task.released"]
        assert (await bob.ask("claim_task"))["task"]["id"] == task_id


async def test_whoever_claims_for_another_works_in_their_name(backend: MemoryBackend) -> None:
    async with connect(backend, "host") as host:
        task_id = (await host.ask("create_task", type="build", assigned_to="ada"))["task_id"]
        assert (await host.ask("claim_task")) == {"task": None}
        assert (await host.ask("claim_task", agent="ada"))["task"]["lease"]["agent"] == "ada"
        assert (await host.ask("complete_task", task_id=task_id))["task"]["status"] == "completed"


async def test_one_task_goes_to_one_of_many_connections(backend: MemoryBackend) -> None:
    won: list[str] = []

    async def claim(agent: str) -> None:
        async with connect(backend, agent) as connection:
            if (await connection.ask("claim_task"))["task"]:
                won.append(agent)
                await connection.ask("complete_task", task_id=task_id)

    async with connect(backend, "boss") as boss:
        task_id = (await boss.ask("create_task", type="build"))["task_id"]
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(claim, f"agent-{number}")
    assert len(won) == 1
