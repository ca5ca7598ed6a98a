"""Races: many agents at once, from two processes where the backend is shared."""

from collections import Counter
from collections.abc import Awaitable, Callable

import anyio

from mycelium import Mycelium, MyceliumError
from mycelium.models import Task
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed, log, status, told


async def at_once(calls: list[Callable[[], Awaitable[Task | None]]]) -> tuple[list[Task | None], list[MyceliumError]]:
    """What concurrent calls answered, and what refused the others."""
    answers: list[Task | None] = []
    refusals: list[MyceliumError] = []

    async def run(call: Callable[[], Awaitable[Task | None]]) -> None:
        try:
            answers.append(await call())
        except MyceliumError as error:
            refusals.append(error)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(run, call)
    return answers, refusals


class RaceContract(Contract):
    async def test_a_hundred_claimers_of_a_hundred_tasks_get_one_each(self, m: Mycelium, bob: Mycelium) -> None:
        made = {(await m.create_task("x")).id for _ in range(100)}
        answers, refusals = await at_once(
            [lambda n=n: (m, bob)[n % 2].claim_task(agent=f"agent-{n}") for n in range(100)]
        )
        assert not refusals
        assert {task.id for task in answers if task} == made
        assert {task.agent for task in answers if task} == {f"agent-{n}" for n in range(100)}
        assert await m.claim_task() is None

    async def test_more_claimers_than_tasks_share_what_there_is(self, m: Mycelium, bob: Mycelium) -> None:
        made = {(await m.create_task("x")).id for _ in range(10)}
        answers, refusals = await at_once(
            [lambda n=n: (m, bob)[n % 2].claim_task(agent=f"agent-{n}") for n in range(50)]
        )
        assert not refusals
        assert sorted(task.id for task in answers if task) == sorted(made)
        assert answers.count(None) == 40

    async def test_fifty_claims_of_one_task_have_one_winner(self, m: Mycelium, bob: Mycelium) -> None:
        for _ in range(5):
            task = await m.create_task("x")
            answers, refusals = await at_once(
                [lambda n=n, key=task.id: (m, bob)[n % 2].claim_task(key, agent=f"agent-{n}") for n in range(50)]
            )
            (winner,) = answers
            assert winner is not None
            assert {error.code for error in refusals} == {"not_claimable"}
            assert {error.data["holder"] for error in refusals} == {winner.agent}
            assert len(refusals) == 49
            assert await told(m, task.id) == ["task.created", "task.started"]

    async def test_twenty_creations_with_one_key_make_one_task(self, m: Mycelium, bob: Mycelium) -> None:
        answers, refusals = await at_once(
            [lambda n=n: (m, bob)[n % 2].create_task("x", payload={"a": 1}, idempotency_key="k") for n in range(20)]
        )
        assert not refusals
        assert len({task.id for task in answers if task}) == 1
        assert len((await m.list_tasks()).records) == 1
        assert [event.type for event in await log(m)] == ["task.created"]

    async def test_of_twenty_different_creations_with_one_key_one_wins(self, m: Mycelium, bob: Mycelium) -> None:
        answers, refusals = await at_once(
            [lambda n=n: (m, bob)[n % 2].create_task("x", payload={"n": n}, idempotency_key="k") for n in range(20)]
        )
        assert len(answers) == len((await m.list_tasks()).records) == 1
        assert [error.code for error in refusals] == ["conflict"] * 19

    async def test_of_many_outcomes_at_once_one_counts(self, m: Mycelium, bob: Mycelium) -> None:
        for _ in range(5):
            task = await claimed(m, (await m.create_task("x")).id)
            key, token = task.id, task.token
            _, refusals = await at_once(
                [
                    lambda key=key, token=token: bob.complete_task(key, lease_token=token),
                    lambda key=key, token=token: m.fail_task(key, "x", lease_token=token),
                    lambda key=key: bob.cancel_task(key),
                    lambda key=key, token=token: bob.update_task(key, release=True, lease_token=token),
                    lambda key=key, token=token: m.complete_task(key, lease_token=token),
                ]
            )
            ends = [kind for kind in await told(m, key) if kind not in {"task.created", "task.started"}]
            assert Counter(ends)["task.released"] <= 1
            assert len([kind for kind in ends if kind != "task.released"]) <= 1
            assert {error.code for error in refusals} <= {"stale_lease", "illegal_transition"}
            assert await status(m, key) in {"completed", "failed", "cancelled", "ready"}
            await m.cancel_task(key) if await status(m, key) == "ready" else None

    async def test_housekeepers_at_once_expire_a_lease_once(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        tasks = [await claimed(m, (await m.create_task("x")).id, seconds=10) for _ in range(10)]
        clock.advance(11)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for n in range(10):
                    group.start_soon((m, bob)[n % 2].housekeep)
        for task in tasks:
            assert await told(m, task.id) == ["task.created", "task.started", "task.expired"]

    async def test_a_swarm_finishes_every_task_exactly_once(self, m: Mycelium, bob: Mycelium) -> None:
        made = [(await m.create_task("x", max_attempts=3, retry_backoff=0)).id for _ in range(30)]
        last = await m.create_task("last", depends_on=made)

        async def work(client: Mycelium, agent: str) -> None:
            while (task := await client.claim_task(agent=agent)) is not None:
                await anyio.lowlevel.checkpoint()
                if task.attempt == 1 and made.index(task.id) % 5 == 0 if task.id in made else False:
                    await client.fail_task(task.id, "again", lease_token=task.token)
                else:
                    await client.complete_task(task.id, {"by": agent}, lease_token=task.token)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for n in range(8):
                    group.start_soon(work, (m, bob)[n % 2], f"agent-{n}")
        await work(m, "ada")
        for number, key in enumerate(made):
            again = ["task.retrying", "task.started"] if number % 5 == 0 else []
            assert await told(m, key) == ["task.created", "task.started", *again, "task.completed"]
        assert await told(m, last.id) == ["task.created", "task.ready", "task.started", "task.completed"]
