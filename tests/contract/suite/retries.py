"""Retries: how often, how long in between, and what counts."""

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import claimed, log, status, told


async def fail_once(m: Mycelium, task_id: str) -> None:
    await claimed(m, task_id)
    await m.fail_task(task_id, "broken")


class RetryContract(Contract):
    async def test_a_failure_with_attempts_left_goes_back_with_its_error(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", max_attempts=2, retry_backoff=5)
        await fail_once(m, task.id)
        found = await m.get_task(task.id)
        assert (found.status, found.error, found.lease, found.attempt) == ("pending", {"error": "broken"}, None, 1)
        assert found.not_before is not None
        assert (found.not_before - clock()).total_seconds() == 5
        last = (await log(m))[-1]
        assert (last.type, last.source) == ("task.retrying", "ada")
        assert (last.data["attempt"], last.data["error"], last.data["at"]) == (
            1, "broken", found.not_before.isoformat(),
        )  # fmt: skip

    async def test_each_pause_is_twice_the_one_before(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", max_attempts=5, retry_backoff=3)
        for pause in (3, 6, 12, 24):
            await fail_once(m, task.id)
            clock.advance(pause - 0.001)
            await m.housekeep()
            assert await status(m, task.id) == "waiting"
            clock.advance(0.001)
            assert await status(m, task.id) == "ready"
        await fail_once(m, task.id)
        found = await m.get_task(task.id)
        assert (found.status, found.attempt) == ("failed", 5)

    async def test_a_pause_is_at_most_an_hour(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", max_attempts=1000, retry_backoff=2000)
        for pause in (2000, 3600, 3600):
            await fail_once(m, task.id)
            found = await m.get_task(task.id)
            assert found.not_before is not None
            assert (found.not_before - clock()).total_seconds() == pause
            clock.advance(pause)

    async def test_without_backoff_the_task_is_ready_at_once(self, m: Mycelium) -> None:
        task = await m.create_task("x", max_attempts=40, retry_backoff=0)
        for _ in range(39):
            await fail_once(m, task.id)
            await m.store_agent_status(m.agent, "idle")  # it would be taken for ill
            assert await status(m, task.id) == "ready"
        await fail_once(m, task.id)
        assert await status(m, task.id) == "failed"

    async def test_a_failure_that_asks_for_no_retry_is_final(self, m: Mycelium) -> None:
        task = await m.create_task("x", max_attempts=5)
        await claimed(m, task.id)
        assert (await m.fail_task(task.id, "hopeless", retry=False)).status == "failed"

    async def test_a_success_after_a_failure_has_no_error_left(self, m: Mycelium) -> None:
        task = await m.create_task("x", max_attempts=2, retry_backoff=0)
        await fail_once(m, task.id)
        await claimed(m, task.id)
        assert (await m.complete_task(task.id)).error is None
        assert await told(m, task.id) == [
            "task.created", "task.started", "task.retrying", "task.started", "task.completed",
        ]  # fmt: skip

    async def test_a_timeout_is_a_failed_attempt(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", max_attempts=2, retry_backoff=0, timeout_seconds=5)
        for expected in ("ready", "failed"):
            await claimed(m, task.id)
            clock.advance(4.999)
            assert await m.housekeep() == 0
            clock.advance(0.001)
            assert await m.housekeep() == 1
            assert await status(m, task.id) == expected

    @pytest.mark.parametrize("lease", [3, 30])
    async def test_a_lease_that_ran_out_together_with_the_time_is_a_timeout(
        self, m: Mycelium, clock: FakeClock, lease: int
    ) -> None:
        task = await m.create_task("x", timeout_seconds=5)
        await claimed(m, task.id, seconds=lease)
        clock.advance(60)
        await m.housekeep()
        assert await status(m, task.id) == "failed"
