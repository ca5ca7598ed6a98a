"""Tasks that fail each time, or take their worker down: parked with their history, listed, and done again."""

import json
from typing import Any

import anyio
import pytest
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium_messaging.letter import HISTORY
from mycelium_messaging.outgoing import letter
from tests.network.crowd import PATIENCE, ask, asking, collecting, declared, waiting
from tests.network.workers import Team, command, end
from tests.support.rabbitmq import Names
from tests.support.store import told


async def parked(team: Team, corner: Names, count: int) -> list[dict[str, Any]]:
    """The dead letters as the command lists them, without copies, once there are so many."""
    with anyio.fail_after(PATIENCE):
        while await waiting(corner, "dead_letters") < count:
            pass  # each look takes a while
    found = json.loads(await command(team, "dead-letters", "list", "--json"))["letters"]
    return list({letter["id"]: letter for letter in found}.values())  # a relay that was killed leaves copies


def steps(parked: dict[str, Any]) -> list[str]:
    return [step["type"] for step in parked["history"]]


@pytest.mark.parametrize("swarm", ["--swarm", "--no-swarm"])
async def test_a_task_that_fails_each_time_is_parked_and_done_again_when_replayed(
    team: Team, corner: Names, swarm: str
) -> None:
    await declared(corner)
    mended = team.folder / "mended"
    await ask(corner, [asking("bad", "break", unless=str(mended), max_attempts=2), asking("good", "note")])
    async with Mycelium.open(team.url, agent="ada") as m, team.worker("worker", swarm) as worker:
        (found,) = await parked(team, corner, 1)
        assert (found["task"], found["reason"], found["says"]) == ("bad", "task_failed", "attempt 2 went wrong")
        assert steps(found) == [
            "task.created", "task.started", "task.retrying", "task.ready", "task.started", "task.failed",
        ]  # fmt: skip
        mended.touch()
        replayed = json.loads(await command(team, "dead-letters", "replay", found["id"], "--json"))
        assert [each["task"] for each in replayed["letters"]] == ["bad"]
        assert (await m.wait_for(["bad", "good"], wait_seconds=PATIENCE)).succeeded
        assert await waiting(corner, "dead_letters") == 0
        assert await end(worker) == 0
    async with collecting(corner) as collector:
        with anyio.fail_after(PATIENCE):
            await collector.all_of(["bad", "good"])
    assert [each["status"] for each in collector.answers.by_task["bad"].values()] == ["failed", "completed"]


async def test_a_long_history_loses_its_beginning() -> None:
    async with Mycelium.open("memory:", agent="ada") as m:
        task = await m.create_task("bad")
        (event,) = (await m.latest_events(limit=1)).events
    history: list[JsonValue] = [{"type": f"step-{number}", "error": "x" * 1000} for number in range(50)]
    header = letter(event, task, history).headers[HISTORY]
    kept = json.loads(str(header))
    assert kept == history[-len(kept) :]
    assert len(kept) >= 10


async def test_a_task_that_takes_workers_down_is_parked_in_the_end(team: Team, corner: Names) -> None:
    await declared(corner)
    mended = team.folder / "mended"
    await ask(corner, [asking("deadly", "kill", unless=str(mended)), *(asking(f"good-{n}", "note") for n in range(20))])
    over = anyio.Event()
    killed = 0

    async def keep_one(number: int) -> None:
        nonlocal killed
        lives = 0
        while not over.is_set():
            async with team.worker(f"worker-{number}-{lives}", MYCELIUM_WORKER_LEASE_SECONDS="1") as worker:
                lives += 1
                if await worker.process.wait() != 0:
                    killed += 1

    async with Mycelium.open(team.url, agent="ada") as m:
        letters: list[dict[str, Any]] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_one, 0)
            tasks.start_soon(keep_one, 1)
            letters += await parked(team, corner, 1)
            over.set()
            tasks.cancel_scope.cancel()
        (found,) = letters
        assert (found["task"], found["says"]) == ("deadly", f"lost with its holder, at attempt {killed}")
        assert steps(found).count("task.expired") == killed - 1
        task = await m.get_task("deadly")
        assert (task.status, task.attempt) == ("failed", killed)
        mended.touch()
        async with team.worker("last") as worker:
            await command(team, "dead-letters", "replay", "--all")
            ids = ["deadly", *(f"good-{n}" for n in range(20))]
            assert (await m.wait_for(ids, wait_seconds=PATIENCE)).succeeded
            assert await end(worker) == 0
        assert (await told(m, "deadly")).count("task.completed") == 1
