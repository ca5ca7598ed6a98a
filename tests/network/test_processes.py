"""`mycelium worker` processes that take messages: how they share, end, and find their work."""

import json
import signal
from collections import Counter
from contextlib import AsyncExitStack

import anyio
import pytest

from mycelium import Mycelium
from mycelium_messaging.names import AGENT_COORDINATION, DEAD_LETTERS
from tests.network.crowd import PATIENCE, Answers, ask, asking, collecting, declared, waiting
from tests.network.proof import problems
from tests.network.reading import Reader, publish
from tests.network.workers import CONNECTED, WORKS, Team, end
from tests.support.model_endpoint import model_endpoint
from tests.support.model_script import Status
from tests.support.rabbitmq import Names
from tests.support.store import log


async def answers_to(corner: Names, ids: list[str]) -> Answers:
    """What is on the queue of answers, once each of these has one."""
    async with collecting(corner) as collector:
        with anyio.fail_after(PATIENCE):
            await collector.all_of(ids)
    return collector.answers


async def begun(m: Mycelium, count: int) -> None:
    """Return when so many attempts have begun."""
    with anyio.fail_after(PATIENCE):
        async for event in m.follow_events(["worker:events"], after=0):
            count -= event.type == "attempt.began"
            if count == 0:
                return


def done_by(answers: Answers) -> Counter[str]:
    return Counter(answer["by"] for found in answers.by_task.values() for answer in found.values())


@pytest.mark.parametrize("manner", ["--until-empty", "--once"])
async def test_a_worker_that_is_to_end_by_itself_ends_where_the_broker_refuses_it(team: Team, manner: str) -> None:
    async with team.worker("ada", manner, RABBITMQ_PASSWORD="wrong") as worker:
        assert await worker.ends() == 3
    assert json.loads(worker.err.splitlines()[-1])["error"]["code"] == "broker_refused"


async def test_whoever_sent_a_request_that_becomes_nothing_hears_of_it_once(team: Team, corner: Names) -> None:
    request = {"type": "parallel_execution", "agents": ["nobody"], "tasks": [{"id": "one", "prompt": "Look."}]}
    message = {"id": "m-1", "routing_key": "agent.coordination", "payload": {**request, "coordination_id": "c-1"}}
    other = {"id": "c-2", "routing_key": "agent.coordination", "payload": {**request, "type": "telepathy"}}
    reader = Reader(corner)
    async with team.worker("ada"):
        await reader.until_consumed("agent_coordination.intake")
        for each in (message, message, other):
            await publish(corner, "agent.coordination", each)
            await reader.one(DEAD_LETTERS)
        heard = [await reader.one(AGENT_COORDINATION) for _ in range(5)]
        told = [each.json["payload"] for each in heard if each.routing_key == "agent.coordination.status"]
    assert [(each["coordination_id"], each["type"], each["status"]) for each in told] == [
        ("c-1", "coordination_status", "rejected"),
        ("c-2", "coordination_status", "rejected"),
    ]
    assert [each["error"]["code"] for each in told] == ["unknown_agent", "unknown_type"]
    assert "nobody" in told[0]["error"]["error"]
    assert told[0]["message_id"] == "m-1"


async def test_a_model_that_answers_nobody_does_not_keep_a_worker_from_ending(team: Team, corner: Names) -> None:
    await declared(corner)
    await ask(corner, [asking("hard", "question"), asking("easy", "note")])
    async with model_endpoint([Status(401, "authentication_error", "invalid x-api-key")]) as endpoint:
        model = {"ANTHROPIC_API_KEY": "wrong", "ANTHROPIC_BASE_URL": endpoint.url}
        async with team.worker("ada", "--until-empty", **model) as worker:
            assert await worker.ends() == 2
    error = json.loads(worker.err.splitlines()[-1])["error"]
    assert error["code"] == "invalid_config"
    assert "invalid x-api-key" in error["message"]
    async with Mycelium.open(team.url, agent="ada") as m:
        hard, easy = [await m.get_task(id) for id in ("hard", "easy")]
    assert (hard.status, hard.attempt, easy.status) == ("pending", 0, "completed")


async def test_what_can_be_done_without_the_broker_is_done_before_that(team: Team) -> None:
    async with Mycelium.open(team.url, agent="ada") as m:
        ids = [task.id for task in await m.create_tasks(["note"] * 5)]
        async with team.worker("ada", "--until-empty", RABBITMQ_PASSWORD="wrong") as worker:
            assert await worker.ends() == 3
        assert (await m.wait_for(ids)).succeeded


async def test_what_runs_is_finished_at_the_end_and_what_was_fetched_goes_back(team: Team, corner: Names) -> None:
    await declared(corner)
    until = team.folder / "until"
    ids = [f"task-{number}" for number in range(10)]
    await ask(corner, [asking(id, "wait", until=str(until)) for id in ids])
    async with Mycelium.open(team.url, agent="ada") as m:
        async with team.worker("first", "--concurrency", "2", "--prefetch", "10") as worker:
            await begun(m, 2)
            assert await waiting(corner, "agent_tasks") == 0
            worker.process.send_signal(signal.SIGTERM)
            await worker.has_said("Ending: nothing new is taken, 2 tasks still running.")
            with anyio.fail_after(PATIENCE):
                while await waiting(corner, "agent_tasks") < 8:
                    pass  # each look takes a while
            until.touch()
            assert await worker.ends() == 0
        assert not any(level in worker.err for level in ("WARNING", "ERROR"))
        assert [told["ended"] for told in worker.outcomes] == ["completed"] * 2
        assert await waiting(corner, "agent_tasks") == 8
        async with team.worker("second", "--until-empty") as worker:
            assert await worker.ends() == 0
        assert len(worker.outcomes) == 8
        assert await problems(m, ids, await answers_to(corner, ids)) == []


@pytest.mark.parametrize("swarm", ["--swarm", "--no-swarm"])
async def test_once_takes_one_message_and_until_empty_all_of_them(team: Team, corner: Names, swarm: str) -> None:
    await declared(corner)
    ids = [f"task-{number}" for number in range(6)]
    await ask(corner, [asking(id, "note") for id in ids])
    async with team.worker("first", swarm, "--once") as worker:
        assert await worker.ends() == 0
    assert [told["ended"] for told in worker.outcomes] == ["completed"]
    assert await waiting(corner, "agent_tasks") == 5
    async with team.worker("second", swarm, "--until-empty") as worker:
        assert await worker.ends() == 0
    assert len(worker.outcomes) == 5
    async with Mycelium.open(team.url, agent="ada") as m:
        assert await problems(m, ids, await answers_to(corner, ids)) == []


async def test_addressed_tasks_reach_whom_they_are_for_in_a_swarm(team: Team, corner: Names) -> None:
    async with AsyncExitStack() as stack:
        skills = {"ada": [], "bob": ["--capability", "gpu"], "eve": ["--capability", "tester"]}
        workers = [
            await stack.enter_async_context(team.worker(name, "--swarm", *more)) for name, more in skills.items()
        ]
        for worker in workers:
            await worker.has_said(WORKS)
            await worker.has_said(CONNECTED)
        wanted = {f"{name}-{number}": name for name in ("ada", "gpu", "tester") for number in range(10)}
        await ask(corner, [asking(id, "note", agent_id=name) for id, name in wanted.items()])
        answers = await answers_to(corner, list(wanted))
        for id, name in wanted.items():
            (answer,) = answers.by_task[id].values()
            assert answer["by"] == {"ada": "ada", "gpu": "bob", "tester": "eve"}[name]
        assert [await end(worker) for worker in workers] == [0, 0, 0]


async def test_workers_that_join_share_the_work(team: Team, corner: Names) -> None:
    names, full = ("first", "second", "third"), ("--concurrency", "4", "--prefetch", "4")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(team.worker("first", *full))
        early = [f"early-{number}" for number in range(20)]
        await ask(corner, [asking(id, "note", seconds=0.1) for id in early])
        assert done_by(await answers_to(corner, early)) == {"first": 20}
        others = [await stack.enter_async_context(team.worker(name, *full)) for name in names[1:]]
        m = await stack.enter_async_context(Mycelium.open(team.url, agent="ada"))
        for wave in range(5):
            until = team.folder / f"wave-{wave}"
            late = [f"late-{wave}-{number}" for number in range(12)]
            await ask(corner, [asking(id, "wait", until=str(until)) for id in late])
            await begun(m, 20 + 12 * (wave + 1))  # none ends before all have begun: that takes all three, however slow
            until.touch()
            assert done_by(await answers_to(corner, late)) == dict.fromkeys(names, 4)
        assert [await end(worker) for worker in (first, *others)] == [0, 0, 0]


def is_trouble(line: str) -> bool:
    """Whether a line of a log tells of anything but the haste with which a new queue was consumed from."""
    passing = "trouble of its own: INTERNAL_ERROR" in line or "is back after" in line
    return not passing and ("WARNING" in line or "ERROR" in line)


async def test_eight_workers_begin_at_once_with_nothing_there(team: Team, corner: Names) -> None:
    names = [f"worker-{number}" for number in range(8)]
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(team.worker(name)) for name in names]
        for worker in workers:
            await worker.has_said(WORKS)
            await worker.has_said(CONNECTED)
        ids = [f"task-{number}" for number in range(320)]
        await ask(corner, [asking(id, "note", seconds=0.1) for id in ids])
        answers = await answers_to(corner, ids)
        assert set(done_by(answers)) == set(names)
        assert [await end(worker) for worker in workers] == [0] * 8
        assert [line for worker in workers for line in worker.err.splitlines() if is_trouble(line)] == []
    answers = await answers_to(corner, [])
    assert answers.copies == 0  # one of them relays
    async with Mycelium.open(team.url, agent="ada") as m:
        seen = [event for event in await log(m) if event.type == "task.completed"]
        assert len(seen) == len(ids)
