"""Eight servers share one store."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from tests.spine.conftest import NewStore
from tests.support.processes import MYCELIUM, PATIENCE, Refused, ServerProcess, serving, team

SERVERS = 8
CREATES = 10
ROUNDS = 20


async def at_once(
    servers: list[ServerProcess], act: Callable[[ServerProcess], Awaitable[dict[str, Any] | None]]
) -> list[dict[str, Any]]:
    """What every server answered, all asked at one moment; those that refused are left out."""
    answers: list[dict[str, Any]] = []

    async def ask(server: ServerProcess) -> None:
        answer = await act(server)
        if answer is not None:
            answers.append(answer)

    async with anyio.create_task_group() as tasks:
        for server in servers:
            tasks.start_soon(ask, server)
    return answers


async def create(server: ServerProcess) -> dict[str, Any]:
    return await server.call("create_task", type="race", payload={"from": server.pid})


async def stored(store: str) -> set[str]:
    async with Mycelium.open(store, background=False) as m:
        found: set[str] = set()
        cursor = None
        while True:
            page = await m.list_tasks(limit=1000, cursor=cursor)
            found |= {task.id for task in page.records}
            if (cursor := page.cursor) is None:
                return found


@pytest.mark.parametrize("rounds", [1, pytest.param(ROUNDS, marks=pytest.mark.soak)])
async def test_eight_new_servers_that_create_and_claim_at_once_lose_nothing_and_share_nothing(
    new_store: NewStore, rounds: int
) -> None:
    for _ in range(rounds):
        store = new_store()
        async with team(store, SERVERS) as servers:
            created = [answer["task_id"] for answer in await at_once(servers * CREATES, create)]
            claims = await at_once(servers * (CREATES + 1), claim_whatever_is_next)
        assert len(set(created)) == SERVERS * CREATES
        assert sorted(claim["task"]["id"] for claim in claims if claim["task"]) == sorted(created)
        assert await stored(store) == set(created)


async def claim_whatever_is_next(server: ServerProcess) -> dict[str, Any]:
    return await server.call("claim_task")


async def test_exactly_one_of_eight_agents_wins_a_task(new_store: NewStore) -> None:
    async with team(new_store(), SERVERS) as servers:
        for _ in range(ROUNDS):
            task_id = (await create(servers[0]))["task_id"]
            winners, losers = await race_for(task_id, servers)
            (winner,) = winners
            assert winner["task"]["id"] == task_id
            assert {loser["code"] for loser in losers} == {"not_claimable"}
            assert {loser["holder"] for loser in losers} == {winner["task"]["lease"]["agent"]}


async def test_a_store_opens_while_another_process_waits_and_after_that_was_killed(new_store: NewStore) -> None:
    store = new_store()
    async with Mycelium.open(store, background=False) as m:
        await m.publish_event("c", {"event": "heard"})
    follow = [MYCELIUM, "events", "-f", "--after", "0", "--backend", store]
    async with await anyio.open_process(follow, stderr=None) as follower:
        try:
            assert follower.stdout is not None
            with anyio.fail_after(PATIENCE):
                assert b"heard" in await follower.stdout.receive()
            assert await stored(store) == set()
        finally:
            follower.kill()
    async with serving(store, "ada") as late:
        created = (await create(late))["task_id"]
        assert await stored(store) == {created}


async def race_for(task_id: str, servers: list[ServerProcess]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What those answered that won the task, and those that did not."""
    losers: list[dict[str, Any]] = []

    async def claim(server: ServerProcess) -> dict[str, Any] | None:
        try:
            return await server.call("claim_task", task_id=task_id)
        except Refused as refusal:
            losers.append(refusal.said)
            return None

    return await at_once(servers, claim), losers
