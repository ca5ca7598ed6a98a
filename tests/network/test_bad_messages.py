"""Messages that a worker can do nothing with, while it does the others: all seen to, and it stays well."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from mycelium import Mycelium
from tests.network.crowd import PATIENCE, ask, asking, collecting, declared, publish_all, waiting
from tests.network.workers import Team, command, end, health, memory
from tests.support.rabbitmq import Names
from tests.support.workers import WorkerProcess

MB = 1024 * 1024


@asynccontextmanager
async def working(team: Team, corner: Names, *args: str) -> AsyncGenerator[WorkerProcess]:
    """A worker that is still there and well at the end of this context, and ends as it should."""
    async with team.worker("ada", "--health-port", "0", *args) as worker:
        yield worker
        await answered(corner, ["last"])
        code, said = await health(worker)
        assert (code, said["status"]) == (200, "working")
        assert await end(worker) == 0


async def test_a_worker_tells_how_many_messages_it_put_with_the_dead_letters(team: Team, corner: Names) -> None:
    await declared(corner)
    async with team.worker("ada", "--health-port", "0") as worker:
        await answered(corner, ["good"])
        assert (await health(worker))[1]["dead_letters"] == {}
        await publish_all(corner, [b"{", b"[", json.dumps(asking("juggle", "juggle")).encode()])
        await letters(team, corner, 3)
        counts = {"not_json": 2, "unknown_type": 1}
        assert (await health(worker))[1]["dead_letters"] == counts
        assert await end(worker) == 0
    assert worker.outcomes[-1] == {"dead_letters": counts}
    assert "1 completed. 3 messages became dead letters (not_json 2, unknown_type 1).\n" in worker.err


async def answered(corner: Names, ids: list[str]) -> None:
    """Ask for these tasks, and wait for their answers."""
    await ask(corner, [asking(id, "note") for id in ids])
    async with collecting(corner) as collector:
        with anyio.fail_after(PATIENCE):
            await collector.all_of(ids)


async def letters(team: Team, corner: Names, count: int) -> dict[str, Any]:
    """What the command says of dead letters, once there are so many."""
    with anyio.fail_after(PATIENCE):
        while await waiting(corner, "dead_letters") < count:
            pass  # each look takes a while
    return json.loads(await command(team, "dead-letters", "--json"))


async def test_messages_that_nobody_took_in_time_are_dead_letters(team: Team, corner: Names) -> None:
    await declared(corner)
    late = [json.dumps(asking(f"late-{number}", "note")).encode() for number in range(30)]
    await publish_all(corner, late, expiration="300")
    found = await letters(team, corner, 30)  # nobody works yet
    assert (found["total"], found["reasons"]) == (30, {"expired": 30})
    async with working(team, corner):
        pass
    async with Mycelium.open(team.url, agent="watcher") as m:
        assert [task.id for task in (await m.list_tasks()).records] == ["last"]


async def test_thousands_of_copies_are_few_tasks(team: Team, corner: Names) -> None:
    await declared(corner)
    ids = [f"task-{number}" for number in range(5)]
    copies = [json.dumps(asking(ids[number % 5], "note", seconds=0.1)).encode() for number in range(3000)]
    async with working(team, corner), collecting(corner) as collector:
        await publish_all(corner, copies)
        with anyio.fail_after(PATIENCE):
            await collector.all_of(ids)
            while await waiting(corner, "agent_tasks"):
                pass  # each look takes a while
    async with Mycelium.open(team.url, agent="watcher") as m:
        tasks = (await m.list_tasks()).records
        assert {task.id: task.attempt for task in tasks} == dict.fromkeys([*ids, "last"], 1)
        assert await waiting(corner, "agent_tasks") == 0
        assert await waiting(corner, "dead_letters") == 0


async def test_what_is_wrong_is_a_dead_letter_and_harms_nothing(team: Team, corner: Names) -> None:
    await declared(corner)
    nobody = [json.dumps(asking(f"nobody-{number}", "note", agent_id="nobody")).encode() for number in range(100)]
    unknown = [json.dumps(asking(f"juggle-{number}", "juggle")).encode() for number in range(100)]
    garbage = [b'{"id": ' + bytes([number]) for number in range(100)]
    huge = [b" " * 20 * MB] * 6
    async with working(team, corner) as worker:
        await answered(corner, ["first"])
        before = memory(worker)
        good = [f"good-{number}" for number in range(50)]
        await publish_all(corner, [*nobody, *unknown, *garbage, *huge])
        await answered(corner, good)
        found = await letters(team, corner, 306)
        assert (found["total"], found["reasons"]) == (
            306, {"unknown_agent": 100, "unknown_type": 100, "not_json": 100, "too_large": 6},
        )  # fmt: skip
        with anyio.fail_after(PATIENCE):
            while memory(worker) > before + 60:  # 120 MB have come, and have gone out again
                await waiting(corner, "agent_tasks")  # which takes a while
    async with Mycelium.open(team.url, agent="watcher") as m:
        assert {task.id for task in (await m.list_tasks(limit=1000)).records} == {"first", *good, "last"}
