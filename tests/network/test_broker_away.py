"""The broker is away when a worker begins, and later for long: it works on, and nothing is lost or held up."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.settings.network import RabbitMQ
from mycelium_messaging.refusals import trouble_of
from mycelium_messaging.wire import Cut
from tests.network.conftest import NewTeam
from tests.network.crowd import PATIENCE, ask, asking, collecting, declared, take_all
from tests.network.proof import problems
from tests.network.workers import CONNECTED, WORKS, Team, end, health
from tests.support.proxy import Proxy, proxy_to
from tests.support.rabbitmq import Names, rabbit_server
from tests.support.store import told
from tests.support.workers import WorkerProcess

PILE = 5000
"""What a team may well have to tell in an hour."""


@pytest.fixture
async def door(corner: Names) -> AsyncGenerator[Proxy]:
    """A door to the shared node that is shut at first."""
    async with proxy_to(corner.server.port) as door:
        await door.shut()
        yield door


@pytest.fixture
def team(new_team: NewTeam, tmp_path: Path, corner: Names, door: Proxy) -> Team:
    return new_team(f"sqlite:///{tmp_path}/team.db", corner.settings(port=door.port))


async def done_at_the_store(m: Mycelium, count: int) -> list[str]:
    """The ids of new tasks that no message brought, once they are done."""
    ids = [task.id for task in await m.create_tasks(["note"] * count)]
    assert (await m.wait_for(ids, wait_seconds=PATIENCE)).succeeded
    return ids


async def pile_up(m: Mycelium) -> None:
    """Tell everybody of something, again and again."""
    for start in range(0, PILE, 1000):
        await m.publish_events("system:events", [{"n": n} for n in range(start, start + 1000)], type="system.tick")


async def is_connected(worker: WorkerProcess, *, to: str, said: bool) -> None:
    """Return when the worker says that it is connected to that source, or is not."""
    with anyio.fail_after(PATIENCE):
        while (await health(worker))[1]["sources"][to] is not said:
            pass  # each look takes a while


async def test_a_worker_works_on_without_the_broker_and_catches_up(team: Team, corner: Names, door: Proxy) -> None:
    await declared(corner)
    async with Mycelium.open(team.url, agent="watcher") as m, team.worker("ada", "--health-port", "0") as worker:
        await worker.has_said(WORKS)
        ids = await done_at_the_store(m, 10)  # the broker is away at the start
        code, said = await health(worker)
        assert (code, said["sources"], CONNECTED in worker.err) == (503, {"store": True, "rabbitmq": False}, False)
        await door.open()
        ids += (early := [f"early-{number}" for number in range(10)])
        await ask(corner, [asking(id, "note") for id in early])
        async with collecting(corner) as collector:
            with anyio.fail_after(PATIENCE):
                await collector.all_of(ids)
            await is_connected(worker, to="rabbitmq", said=True)
            await door.shut()  # and it is away later
            await is_connected(worker, to="rabbitmq", said=False)
            ids += (late := [f"late-{number}" for number in range(10)])
            await ask(corner, [asking(id, "note") for id in late])
            await pile_up(m)
            ids += await done_at_the_store(m, 10)
            await door.open()
            with anyio.fail_after(PATIENCE):
                await collector.all_of(ids)
                ticks = await take_all(corner, "system_events", "system.tick", PILE)
        assert [tick["payload"]["n"] for tick in ticks] == list(range(PILE))
        await is_connected(worker, to="rabbitmq", said=True)
        assert await end(worker) == 0
        assert await problems(m, ids, collector.answers) == []


async def test_a_long_task_outlives_the_time_that_the_broker_gives_a_delivery(
    tmp_path: Path, new_team: NewTeam
) -> None:
    with rabbit_server(tmp_path / "rabbitmq", consumer_timeout=2000, channel_tick_interval=500) as server:
        corner = Names(server)
        await declared(corner)
        team = new_team(f"sqlite:///{tmp_path}/team.db", corner.settings())
        short = [f"short-{number}" for number in range(60)]
        await ask(corner, [asking("long", "note", seconds=8)])
        async with Mycelium.open(team.url, agent="watcher") as m, team.worker("ada") as worker:
            async with collecting(corner) as collector:
                with anyio.fail_after(PATIENCE):
                    for start in range(0, len(short), 10):  # others come in while it lasts
                        some = short[start : start + 10]
                        await ask(corner, [asking(id, "note", seconds=0.1) for id in some])
                        await collector.all_of(some)
                        await anyio.sleep(1)  # as long as this takes, not a wait for something
                    await collector.all_of(["long"])
                assert await end(worker) == 0
            assert await told(m, "long") == ["task.created", "task.started", "attempt.began", "task.completed"]
            assert worker.err.count("delivery acknowledgement on channel") == 1  # it has happened, and not in a loop
            assert await problems(m, ["long", *short], collector.answers) == []


def test_trouble_of_the_broker_is_not_called_a_wrong_address() -> None:
    trouble = trouble_of(Cut(541, "INTERNAL_ERROR"), RabbitMQ(host="rabbit"))
    assert "trouble of its own: INTERNAL_ERROR" in str(trouble)
    assert "rabbitmq.host" not in str(trouble)


async def test_until_empty_does_what_it_can_and_then_waits_for_no_broker(team: Team) -> None:
    async with Mycelium.open(team.url, agent="ada") as m:
        ids = [task.id for task in await m.create_tasks(["note"] * 5)]
        async with team.worker("ada", "--until-empty", RABBITMQ_CONNECTION_TIMEOUT="1") as worker:
            assert await worker.ends() == 3
        assert (await m.wait_for(ids)).succeeded
    assert json.loads(worker.err.splitlines()[-1])["error"]["code"] == "broker_unavailable"
    assert "Ended: 5 completed." in worker.err


async def test_until_empty_waits_for_a_broker_that_is_back_soon(team: Team, corner: Names, door: Proxy) -> None:
    await declared(corner)
    await ask(corner, [asking("easy", "note")])
    async with team.worker("ada", "--until-empty") as worker:
        await worker.has_said("WARNING")
        await door.open()
        assert await worker.ends() == 0
    assert [told["task_id"] for told in worker.outcomes] == ["easy"]
