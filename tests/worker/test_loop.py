"""The loop: how many at once, what becomes of whatever executors do, and how it ends."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import anyio
import pytest
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.errors import BackendUnavailable, StoreDamaged
from mycelium.models import Task
from mycelium_worker.attempt import Attempt
from mycelium_worker.executor import TaskFailed
from mycelium_worker.executors.registry import Executors
from mycelium_worker.source import Job
from mycelium_worker.store_source import StoreJob, open_store_source
from mycelium_worker.worker import Worker
from tests.worker.loop import PATIENCE, Gate, NoTools, ended, work_off, working

Result = Mapping[str, JsonValue]


@pytest.fixture
async def m(tmp_path: Path) -> AsyncGenerator[Mycelium]:
    async with Mycelium.open(f"sqlite:///{tmp_path}/team.db", agent="wanda") as client:
        yield client


@pytest.fixture
async def other(tmp_path: Path, m: Mycelium) -> AsyncGenerator[Mycelium]:
    """Another agent on the same store."""
    async with Mycelium.open(m.backend.url, agent="otto", background=False) as client:
        yield client


async def greet(attempt: Attempt) -> Result:
    return {"hello": attempt.task.payload.get("name")}


async def test_a_task_is_done_and_its_result_is_stored(m: Mycelium) -> None:
    task = await m.create_task("greet", payload={"name": "ada"})
    (outcome,) = await work_off(m, {"greet": greet})
    done = await m.get_task(task.id)
    assert (done.status, done.result) == ("completed", {"hello": "ada"})
    assert (outcome.task_id, outcome.ended, outcome.code) == (task.id, "completed", None)


async def test_what_comes_later_is_taken_as_it_comes(m: Mycelium, other: Mycelium) -> None:
    async with working(m, {"greet": greet}):
        for name in ("ada", "bob"):
            task = await other.create_task("greet", payload={"name": name})
            (done,) = await ended(other, task.id)
            assert done.result == {"hello": name}


async def test_never_more_run_at_once_than_there_are_slots_and_all_slots_are_used(m: Mycelium) -> None:
    most = now = 0
    full, halted = anyio.Event(), anyio.Event()

    async def count(attempt: Attempt) -> Result:
        nonlocal most, now
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        await halted.wait()
        now -= 1
        return {}

    await m.create_tasks(["count"] * 30)
    async with working(m, {"count": count}, concurrency=3, run={"until_empty": True}) as running:
        await full.wait()
        assert running.worker.running == 3
        assert (await m.get_stats()).tasks["running"] == 3  # no more are claimed than run
        halted.set()
    assert most == 3
    assert running.ended == ["completed"] * 30


async def test_what_a_result_makes_ready_is_done_before_the_worker_finds_nothing(m: Mycelium) -> None:
    await m.create_workflow("chain", [{"name": f"step-{number}", "type": "greet"} for number in range(20)])
    assert len(await work_off(m, {"greet": greet}, concurrency=8)) == 20


async def test_once_does_one(m: Mycelium) -> None:
    await m.create_tasks(["greet"] * 3)
    async with working(m, {"greet": greet}, run={"once": True}) as running:
        pass
    assert running.ended == ["completed"]
    assert (await m.get_stats()).tasks["pending"] == 2


async def refuse(attempt: Attempt) -> Result:
    raise TaskFailed("no such page", code="gone", retry=False, page=7)


async def try_again(attempt: Attempt) -> Result:
    raise TaskFailed("not now", code="busy")


async def crash(attempt: Attempt) -> Result:
    return {"it": 1 / 0}


async def leave(attempt: Attempt) -> Result:
    sys.exit(3)


async def cancel_itself(attempt: Attempt) -> Result:
    raise asyncio.CancelledError


async def fail_in_a_group(attempt: Attempt) -> Result:
    async def fail() -> None:
        raise TaskFailed("within", code="inner", retry=False)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fail)
    return {}


async def answer_too_much(attempt: Attempt) -> Result:
    return {"text": "x" * 2_000_000}


async def answer_no_json(attempt: Attempt) -> Result:
    return {"what": object()}  # pyright: ignore[reportReturnType]  what executors without types may do


async def fail_with_no_json(attempt: Attempt) -> Result:
    raise TaskFailed("odd", code="odd", retry=False, what=object())  # pyright: ignore[reportArgumentType]  as above


async def fail_with_surrogates(attempt: Attempt) -> Result:
    raise TaskFailed("\ud800" * 20_000, code="odd", retry=False)


@pytest.mark.parametrize(
    ("executor", "code", "status"),
    [
        (refuse, "gone", "failed"),
        (try_again, "busy", "pending"),
        (crash, "crashed", "pending"),
        (leave, "crashed", "pending"),
        (cancel_itself, "crashed", "pending"),
        (fail_in_a_group, "inner", "failed"),
        (answer_too_much, "too_large", "failed"),
        (answer_no_json, "invalid_input", "failed"),
        (fail_with_no_json, "odd", "failed"),
        (fail_with_surrogates, "odd", "failed"),
    ],
)
async def test_an_attempt_that_fails_says_why_and_the_worker_goes_on(
    m: Mycelium, executor: Mapping[str, JsonValue], code: str, status: str
) -> None:
    bad = await m.create_task("bad", max_attempts=2, retry_backoff=3600)
    good = await m.create_task("greet")
    outcomes = await work_off(m, {"bad": executor, "greet": greet}, concurrency=1)  # pyright: ignore[reportArgumentType]
    after = await m.get_task(bad.id)
    assert after.error is not None
    assert (after.status, after.error["code"]) == (status, code)
    assert isinstance(after.error["error"], str)
    assert after.error["error"]
    assert [outcome.ended for outcome in outcomes] == ["failed" if status == "failed" else "retrying", "completed"]
    assert (await m.get_task(good.id)).status == "completed"


async def test_a_failure_keeps_what_its_executor_adds(m: Mycelium) -> None:
    task = await m.create_task("bad")
    await work_off(m, {"bad": refuse})
    assert (await m.get_task(task.id)).error == {"error": "no such page", "code": "gone", "page": 7}


async def test_a_crash_names_its_type(m: Mycelium) -> None:
    task = await m.create_task("bad")
    await work_off(m, {"bad": crash})
    assert (await m.get_task(task.id)).error == {
        "error": "division by zero", "code": "crashed", "type": "ZeroDivisionError",
    }  # fmt: skip


async def test_a_failed_attempt_is_repeated_while_attempts_are_left(m: Mycelium) -> None:
    task = await m.create_task("bad", max_attempts=3, retry_backoff=0)
    outcomes = await work_off(m, {"bad": crash})
    assert [outcome.ended for outcome in outcomes] == ["retrying", "retrying", "failed"]
    assert (await m.get_task(task.id)).attempt == 3


async def test_an_attempt_that_takes_too_long_fails_once_with_its_code(m: Mycelium, other: Mycelium) -> None:
    gate = Gate()
    async with working(m, {"wait": gate}) as running:
        task = await other.create_task("wait", timeout_seconds=0.3)
        (late,) = await ended(other, task.id)
        await gate.until(gate.stopped, 1)
    assert late.error == {"error": "timed out after 0.3 seconds", "code": "timed_out"}
    assert running.ended == ["failed"]
    assert [event.type for event in (await m.latest_events(["tasks:events"])).events].count("task.failed") == 1


async def test_an_executor_that_will_not_be_stopped_still_times_out(m: Mycelium) -> None:
    async def stubborn(attempt: Attempt) -> Result:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("not so fast")

    task = await m.create_task("stubborn", timeout_seconds=0.2)
    await work_off(m, {"stubborn": stubborn})
    error = (await m.get_task(task.id)).error
    assert error is not None
    assert error["code"] == "timed_out"


async def test_seconds_of_a_budget_end_the_task_for_good(m: Mycelium) -> None:
    task = await m.create_task("wait", budget={"seconds": 0.2}, max_attempts=3)
    await work_off(m, {"wait": Gate()})
    after = await m.get_task(task.id)
    assert after.error is not None
    assert (after.status, after.error["code"]) == ("failed", "budget_exceeded")


async def test_tokens_over_the_budget_end_the_task_and_nothing_is_told_twice(m: Mycelium) -> None:
    async def spend(attempt: Attempt) -> Result:
        await attempt.spend(tokens=1000)
        return {}

    task = await m.create_task("spend", budget={"tokens": 10}, max_attempts=3)
    (outcome,) = await work_off(m, {"spend": spend})
    after = await m.get_task(task.id)
    assert after.error is not None
    assert (after.status, after.error["code"]) == ("failed", "budget_exceeded")
    assert (outcome.ended, outcome.code) == ("failed", "budget_exceeded")


async def test_a_cancelled_task_is_stopped_within_seconds(m: Mycelium, other: Mycelium) -> None:
    gate = Gate()
    async with working(m, {"wait": gate}) as running:
        task = await other.create_task("wait")
        await gate.until(gate.begun, 1)
        await other.cancel_task(task.id, reason="not needed")
        with anyio.fail_after(5):
            await gate.until(gate.stopped, 1)
    assert running.ended == ["cancelled"]
    assert (await m.get_task(task.id)).status == "cancelled"


async def test_a_lost_lease_stops_the_executor_and_its_result_is_not_told(m: Mycelium, other: Mycelium) -> None:
    gate = Gate()
    async with working(m, {"wait": gate}, concurrency=2) as running:
        task = await other.create_task("wait")
        await gate.until(gate.begun, 1)
        held = await m.get_task(task.id)
        await other.update_task(task.id, release=True, lease_token=held.token)  # as if it had run out
        await gate.until(gate.begun, 2)  # this very worker claims it again, under a new token
        await running.until(1)
        gate.open.set()
    assert running.ended == ["lost", "completed"]
    assert (gate.stopped, gate.ended) == ([task.id], [task.id])


async def test_draining_lets_what_runs_end(m: Mycelium) -> None:
    gate = Gate()
    await m.create_tasks(["wait"] * 5)
    async with working(m, {"wait": gate}, concurrency=2) as running:
        await gate.until(gate.begun, 2)
        running.worker.stop()
        gate.open.set()
    assert running.ended == ["completed"] * 2
    assert (await m.get_stats()).ready == 3


async def test_what_does_not_end_in_time_is_given_back_untried(m: Mycelium) -> None:
    gate = Gate()
    task = await m.create_task("wait")
    async with working(m, {"wait": gate}, drain_seconds=0.1) as running:
        await gate.until(gate.begun, 1)
    after = await m.get_task(task.id)
    assert (after.status, after.attempt, after.lease) == ("pending", 0, None)
    assert (gate.stopped, running.ended) == ([task.id], ["released"])


async def test_a_worker_in_a_hurry_gives_back_at_once(m: Mycelium) -> None:
    gate = Gate()
    task = await m.create_task("wait")
    async with working(m, {"wait": gate}, drain_seconds=3600) as running:
        await gate.until(gate.begun, 1)
        running.worker.hurry()
    assert (await m.get_task(task.id)).status == "pending"


async def test_a_worker_that_is_cancelled_gives_back_what_it_holds(m: Mycelium) -> None:
    gate = Gate()
    await m.create_tasks(["wait"] * 3)
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            async with working(m, {"wait": gate}, concurrency=2, drain_seconds=3600):
                await anyio.sleep_forever()

        tasks.start_soon(work)
        await gate.until(gate.begun, 2)
        tasks.cancel_scope.cancel()
    assert (await m.get_stats()).ready == 3
    assert m.leases.current() == {}


class Recorded:
    """A job that says when it was settled, and how its task was then."""

    def __init__(self, m: Mycelium, job: Job, settled: list[str]) -> None:
        self._m = m
        self.task = job.task
        self._settled = settled

    async def settle(self) -> None:
        self._settled.append((await self._m.get_task(self.task.id)).status)

    async def give_back(self) -> None:
        self._settled.append("given back")


class Flaky:
    """A source that fails now and then."""

    name = "flaky"
    connected = True
    buried: Mapping[str, int] = {}

    def __init__(self, m: Mycelium, failures: int) -> None:
        self._m = m
        self._failures = failures
        self.empty = False
        self.drained = False
        self.settled: list[str] = []

    async def ready(self) -> None:
        if self.empty:
            await anyio.sleep_forever()

    async def take(self) -> Job | None:
        if self._failures:
            self._failures -= 1
            raise BackendUnavailable("gone fishing")
        task = await self._m.claim_task()
        self.empty = task is None
        return None if task is None else Recorded(self._m, StoreJob(task), self.settled)

    async def drain(self) -> None:
        self.drained = True


async def test_a_source_that_fails_is_asked_again_and_jobs_are_settled_last(m: Mycelium) -> None:
    await m.create_tasks(["greet", "bad", "greet"])
    source = Flaky(m, failures=3)
    worker = Worker(m, [source], Executors({"greet": greet, "bad": refuse}), NoTools(), concurrency=2)
    with anyio.fail_after(PATIENCE):
        tally = await worker.run(until_empty=True)
    assert (tally.done, tally.failed) == (2, 1)
    assert sorted(source.settled) == ["completed", "completed", "failed"]
    assert source.drained


async def test_sources_take_turns(m: Mycelium, other: Mycelium) -> None:
    await m.create_tasks(["greet"] * 20)
    first, second = Flaky(m, failures=0), Flaky(other, failures=0)
    worker = Worker(m, [first, second], Executors({"greet": greet}), NoTools(), concurrency=1)
    with anyio.fail_after(PATIENCE):
        await worker.run(until_empty=True)
    assert min(len(first.settled), len(second.settled)) >= 1


async def test_no_outcome_is_lost_while_the_store_is_away(m: Mycelium, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await m.create_task("greet", payload={"name": "ada"})
    tell, away = m.complete_task, [BackendUnavailable("no route"), BackendUnavailable("still none")]

    async def complete(*args: object, **more: object) -> Task:
        if away:
            raise away.pop()
        return await tell(*args, **more)  # pyright: ignore[reportArgumentType]  whatever it was given

    monkeypatch.setattr(m, "complete_task", complete)
    await work_off(m, {"greet": greet})
    assert (await m.get_task(task.id)).result == {"hello": "ada"}


async def test_a_job_whose_outcome_the_store_cannot_take_is_given_back_and_its_lease_runs_out(
    m: Mycelium, monkeypatch: pytest.MonkeyPatch
) -> None:
    await m.create_task("greet", payload={"name": "ada"})

    async def complete(*args: object, **more: object) -> Task:
        raise StoreDamaged("a page is broken")

    monkeypatch.setattr(m, "complete_task", complete)
    source = Flaky(m, failures=0)
    worker = Worker(m, [source], Executors({"greet": greet}), NoTools())
    with anyio.fail_after(PATIENCE):
        tally = await worker.run(until_empty=True)
    assert tally.ended == {"lost": 1}
    assert source.settled == ["given back"]
    assert m.leases.current() == {}


async def test_a_type_that_nobody_does_fails_by_name(m: Mycelium) -> None:
    task = await m.create_task("paint", max_attempts=1)
    await work_off(m, {"greet": greet})
    error = (await m.get_task(task.id)).error
    assert error is not None
    assert error["code"] == "no_executor"
    assert "'paint'" in str(error["error"])


async def test_leases_are_forgotten_with_their_tasks(m: Mycelium) -> None:
    await m.create_tasks(["greet"] * 50)
    await work_off(m, {"greet": greet}, concurrency=10)
    assert m.leases.current() == {}


class Empty:
    """A source that calls ten times and has nothing, and is slow to say so."""

    name = "empty"
    empty = True
    connected = True
    buried: Mapping[str, int] = {}

    def __init__(self) -> None:
        self.looks = self.looking = self.most = 0

    async def ready(self) -> None:
        if self.looks == 10:
            await anyio.sleep_forever()

    async def take(self) -> Job | None:
        self.looks += 1
        self.looking += 1
        self.most = max(self.most, self.looking)
        await anyio.wait_all_tasks_blocked()
        self.looking -= 1
        return None

    async def drain(self) -> None:
        pass


async def test_one_slot_at_a_time_looks_where_nothing_was_while_others_work(m: Mycelium) -> None:
    empty = Empty()
    await m.create_tasks(["greet"] * 40)
    async with open_store_source(m) as store:
        worker = Worker(m, [store, empty], Executors({"greet": greet}), NoTools(), concurrency=8)
        with anyio.fail_after(PATIENCE):
            await worker.run(until_empty=True)
    assert worker.tally.ended["completed"] == 40
    assert (empty.looks, empty.most) == (10, 1)
