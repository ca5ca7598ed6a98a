"""Leases: the right to finish a task, one at a time, until a time."""

import anyio
import pytest

from mycelium import Mycelium
from mycelium.errors import NotClaimable, StaleLease
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed, log, refuses, status, token_of, told


class LeaseContract(Contract):
    async def test_a_claim_gives_a_lease_with_a_token_and_an_end(self, m: Mycelium, clock: FakeClock) -> None:
        await m.create_task("x")
        task = await claimed(m, seconds=30)
        assert task.lease is not None
        assert (task.status, task.agent, task.attempt, task.started_at) == ("running", "ada", 1, clock())
        assert (task.lease.expires_at - clock()).total_seconds() == 30
        assert await m.get_task(task.id) == task
        assert (await log(m))[-1].data == {"task_id": task.id, "task_type": "x", "attempt": 1}

    async def test_a_held_task_cannot_be_claimed_and_its_holder_is_named(self, m: Mycelium, bob: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        await bob.see()
        assert await bob.claim_task() is None
        async with refuses(m, "not_claimable") as caught:
            await bob.claim_task(task.id)
        assert isinstance(caught.value, NotClaimable)
        assert caught.value.data["holder"] == "ada"
        assert task.lease is not None
        assert caught.value.data["expires_at"] == task.lease.expires_at.isoformat()
        async with refuses(m, "not_claimable"):
            await m.claim_task(task.id)

    async def test_only_the_holder_can_change_a_held_task(self, m: Mycelium, bob: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        assert task.lease is not None
        for change in (
            lambda: bob.complete_task(task.id),
            lambda: bob.fail_task(task.id, "x"),
            lambda: bob.update_task(task.id, progress=0.5),
            lambda: bob.update_task(task.id, release=True),
            lambda: bob.renew_lease(task.id),
            lambda: bob.complete_task(task.id, lease_token=token_of(task) - 1),
            lambda: bob.cancel_task(task.id, lease_token=token_of(task) + 1),
        ):
            async with refuses(m, "stale_lease") as caught:
                await change()
            assert isinstance(caught.value, StaleLease)
            assert caught.value.data == {
                "task_id": task.id,
                "status": "running",
                "holder": "ada",
                "expires_at": task.lease.expires_at.isoformat(),
            }

    async def test_whoever_has_the_token_may_finish(self, m: Mycelium, bob: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        assert (await bob.complete_task(task.id, {"by": "bob"}, lease_token=token_of(task))).status == "completed"

    async def test_completing_twice_with_one_token_is_one_completion(self, m: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        token = token_of(task)
        first = await m.complete_task(task.id, {"n": 1}, lease_token=token)
        events = await log(m)
        assert await m.complete_task(task.id, {"n": 2}, lease_token=token) == first
        assert await log(m) == events
        async with refuses(m, "stale_lease"):
            await m.fail_task(task.id, "x", lease_token=token)

    async def test_failing_twice_with_one_token_is_one_failure(self, m: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        first = await m.fail_task(task.id, "x", lease_token=token_of(task))
        events = await log(m)
        assert await m.fail_task(task.id, "y", lease_token=token_of(task)) == first
        assert await log(m) == events

    async def test_a_released_task_is_ready_again_with_its_note(self, m: Mycelium, bob: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        released = await m.update_task(task.id, release=True, note="half done")
        assert (released.status, released.lease, released.note) == ("pending", None, "half done")
        again = await claimed(bob)
        assert (again.id, again.attempt) == (task.id, 1), "what was released was not tried"
        assert await told(m, task.id) == ["task.created", "task.started", "task.released", "task.started"]

    async def test_tokens_only_grow(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x")
        tokens: list[int] = []
        for jump in (0, 0, 10, -3600, 0, 1):
            clock.advance(jump)
            tokens.append(token_of(await claimed(m, task.id)))
            await m.update_task(task.id, release=True)
        assert tokens == sorted(set(tokens))

    async def test_an_expired_lease_makes_the_task_ready_again(self, m: Mycelium, clock: FakeClock) -> None:
        task = await claimed(m, (await m.create_task("x")).id, seconds=10)
        clock.advance(9.999)
        assert await m.housekeep() == 0
        clock.advance(0.001)
        assert await m.housekeep() == 1
        assert await status(m, task.id) == "ready"
        last = (await log(m))[-1]
        assert (last.type, last.source, last.data["holder"]) == ("task.expired", None, "ada")
        assert await m.housekeep() == 0

    async def test_a_late_result_is_refused_and_names_the_new_holder(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        mine = await claimed(m, (await m.create_task("x")).id, seconds=10)
        clock.advance(11)
        theirs = await claimed(bob)
        assert theirs.id == mine.id
        assert token_of(theirs) > token_of(mine)
        for late in (
            lambda: m.complete_task(mine.id, {"late": True}),
            lambda: m.complete_task(mine.id, lease_token=token_of(mine)),
            lambda: m.fail_task(mine.id, "x"),
            lambda: m.update_task(mine.id, progress=0.5),
        ):
            async with refuses(m, "stale_lease") as caught:
                await late()
            assert caught.value.data["holder"] == "bob"
        assert (await bob.complete_task(mine.id, {"ok": True})).result == {"ok": True}

    @pytest.mark.parametrize("named", [True, False])
    async def test_an_expired_task_can_be_claimed_before_any_housekeeping(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock, named: bool
    ) -> None:
        task = await claimed(m, (await m.create_task("x")).id, seconds=10)
        clock.advance(10)
        again = await claimed(bob, task.id if named else None)
        assert (again.id, again.agent, again.attempt) == (task.id, "bob", 2)
        assert await told(bob, task.id) == ["task.created", "task.started", "task.expired", "task.started"]

    async def test_a_crowd_of_silent_agents_does_not_hide_an_expired_task(self, m: Mycelium, clock: FakeClock) -> None:
        task = await claimed(m, (await m.create_task("x")).id, seconds=20)
        for number in range(150):
            await m.store_agent_status(f"agent-{number}", ttl=10)
        clock.advance(21)
        assert (await claimed(m)).id == task.id

    async def test_renewing_makes_the_lease_last_its_full_time_from_now(self, m: Mycelium, clock: FakeClock) -> None:
        task = await claimed(m, (await m.create_task("x")).id, seconds=10)
        events = await log(m)
        clock.advance(8)
        renewed = await m.renew_lease(task.id)
        assert renewed.lease is not None
        assert ((renewed.lease.expires_at - clock()).total_seconds(), token_of(renewed)) == (10, token_of(task))
        assert await log(m) == events
        clock.advance(8)
        await m.housekeep()
        assert await status(m, task.id) == "running"
        await m.update_task(task.id, progress=0.5)
        clock.advance(8)
        await m.housekeep()
        assert await status(m, task.id) == "running"

    async def test_a_timeout_ends_the_attempt_however_often_it_is_renewed(self, m: Mycelium, clock: FakeClock) -> None:
        task = await claimed(m, (await m.create_task("x", timeout_seconds=15)).id, seconds=10)
        for _ in range(2):
            clock.advance(7)
            await m.renew_lease(task.id)
        clock.advance(1)
        await m.housekeep()
        found = await m.get_task(task.id)
        assert (found.status, found.error) == ("failed", {"error": "timed out after 15 seconds", "code": "timed_out"})
        async with refuses(m, "stale_lease"):
            await m.complete_task(task.id, lease_token=token_of(task))

    async def test_expiry_does_not_use_up_attempts(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", max_attempts=1)
        for _ in range(3):
            await claimed(m, task.id, seconds=5)
            clock.advance(5)
            await m.housekeep()
        assert await status(m, task.id) == "ready"

    async def test_leases_left_when_a_client_closes_are_given_back(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x")
        async with Mycelium.over(m.backend, agent="eve", clock=clock, background=False) as eve:
            await claimed(eve, task.id)
        assert await status(m, task.id) == "ready"
        assert (await log(m))[-1].type == "task.released"

    async def test_a_lease_is_renewed_in_the_background_while_its_client_is_open(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        with anyio.fail_after(PATIENCE):
            async with Mycelium.over(m.backend, agent="eve") as eve:
                first = await claimed(eve, task.id, seconds=0.3)
                while (await m.get_task(task.id)).version == first.version:
                    await anyio.lowlevel.checkpoint()
                renewed = await m.get_task(task.id)
        assert (renewed.agent, token_of(renewed)) == ("eve", token_of(first))

    async def test_the_shortest_and_the_longest_lease(self, m: Mycelium) -> None:
        for seconds in (0.05, 366 * 24 * 3600):
            await m.create_task("x")
            await claimed(m, seconds=seconds)
        for seconds in (0, -1, 0.01, 1e9, float("nan"), float("inf")):
            async with refuses(m, "invalid_input"):
                await m.claim_task(lease_seconds=seconds)
