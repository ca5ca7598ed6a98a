"""Triggers and the housekeeper's record are kept like any other; claims are matched by queue and capabilities."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from mycelium import Mycelium
from mycelium.models import (
    HOUSE,
    Approval,
    ClaimRequest,
    Keeper,
    Record,
    Task,
    Trigger,
    TriggerQuery,
    Workflow,
    WorkflowQuery,
)
from mycelium.rules import Change, View, grant
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock

THEN = {"task": {"type": "scan", "payload": {"file": {"$from": "cause.data.file"}}}}


def trigger(clock: FakeClock, id: str, **fields: object) -> Trigger:
    said = {"when": {"event": {"channel": "files"}}, "then": THEN, "created_at": clock(), "updated_at": clock()}
    return Trigger.model_validate({"id": id, **said, **fields})


def workflow(clock: FakeClock, id: str, **fields: object) -> Workflow:
    return Workflow.model_validate({"id": id, "type": "w", "created_at": clock(), "updated_at": clock(), **fields})


def task(clock: FakeClock, id: str, **fields: object) -> Task:
    return Task.model_validate({"id": id, "type": "x", "created_at": clock(), "updated_at": clock(), **fields})


def puts(*records: Record) -> Callable[[View], Change[None]]:
    return lambda view: Change(None, puts=records)


async def next_task(m: Mycelium, *, queues: tuple[str, ...] = (), capabilities: tuple[str, ...] = ()) -> str | None:
    request = ClaimRequest(agent="ada", seconds=60, queues=queues, capabilities=frozenset(capabilities))
    committed = await m.backend.claim(request, lambda view, task: grant(view, task, agent="ada", seconds=60))
    return committed.result.id if committed else None


class KindsContract(Contract):
    async def test_a_trigger_is_kept_changed_found_and_removed(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        first, second = trigger(clock, "first"), trigger(clock, "second", status="stopped", error="it ran wild")
        await m.backend.commit(puts(first, second))
        changed = first.changed(fired=1, seq=7, last_fired_at=clock())
        await m.backend.commit(puts(changed))
        assert await bob.backend.get(Trigger, ["second", "none", "first"]) == [second, None, changed]
        assert (await bob.backend.find(TriggerQuery())).records == [second, changed]
        assert (await bob.backend.find(TriggerQuery(status="active"))).records == [changed]
        page = await bob.backend.find(TriggerQuery(limit=1))
        assert page.records == [second]
        assert (await bob.backend.find(TriggerQuery(limit=1, cursor=page.cursor))).records == [changed]
        assert (await bob.backend.stats()).triggers == {"active": 1, "stopped": 1}

        await m.backend.commit(lambda view: Change(None, removes=(second,)))
        assert await bob.backend.get(Trigger, ["second"]) == [None]
        assert (await bob.backend.stats()).triggers == {"active": 1}

    async def test_triggers_and_workflows_come_due(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        soon, later = clock() + timedelta(seconds=10), clock() + timedelta(seconds=20)
        ticking = trigger(clock, "ticking", when={"schedule": {"every_seconds": 5.0}}, next_at=later)
        limited = workflow(clock, "limited", timeout_at=soon)
        await m.backend.commit(puts(ticking, limited))
        assert await bob.backend.due(10) == await m.backend.due(10)
        assert (await bob.backend.due(10)).next_at == soon
        clock.advance(15)
        due = await bob.backend.due(10)
        assert due.records == [limited]
        assert due.next_at == later
        clock.advance(15)
        assert (await m.backend.due(10)).records == [limited, ticking]
        await m.backend.commit(
            puts(limited.changed(status="failed"), ticking.changed(next_at=clock() + timedelta(seconds=5)))
        )
        due = await bob.backend.due(10)
        assert due.records == []
        assert due.next_at == clock() + timedelta(seconds=5)

    async def test_paused_and_compensating_workflows_are_found_and_counted(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        await m.backend.commit(puts(workflow(clock, "a", status="paused"), workflow(clock, "b")))
        await m.backend.commit(puts(workflow(clock, "b", version=2, status="compensating")))
        assert (await bob.backend.stats()).workflows == {"paused": 1, "compensating": 1}
        paused = await bob.backend.find(WorkflowQuery(status="paused"))
        assert [each.id for each in paused.records] == ["a"]

    async def test_the_housekeepers_record_is_kept_and_does_not_move(
        self, m: Mycelium, bob: Mycelium, fresh: Mycelium, clock: FakeClock
    ) -> None:
        keeper = Keeper(holder="one", agent="ada", since=clock(), at=clock())
        await m.backend.commit(puts(keeper))
        beat = keeper.changed(at=clock() + timedelta(seconds=2), cursor=3, fired=1)
        await bob.backend.commit(puts(beat))
        assert await m.backend.get(Keeper, [HOUSE]) == [beat]
        await m.backend.commit(puts(trigger(clock, "moves")))
        await fresh.load(m.export())
        assert await fresh.backend.get(Keeper, [HOUSE]) == [None]
        assert await fresh.backend.get(Trigger, ["moves"]) == [trigger(clock, "moves")]

    async def test_claims_follow_queues_and_capabilities(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        await m.backend.commit(
            puts(
                task(clock, "gpu", queue="llm", capabilities=["gpu", "python"]),
                task(clock, "python", capabilities=["python"], priority="high"),
                task(clock, "llm", queue="llm"),
                task(clock, "plain"),
                task(clock, "system", queue="system", priority="critical"),
            )
        )
        assert await next_task(bob, queues=("llm",)) == "llm"
        assert await next_task(bob, queues=("llm",), capabilities=("python",)) is None
        assert await next_task(bob, capabilities=("rust",)) == "system"
        assert await next_task(bob) == "plain"
        assert await next_task(bob) is None
        assert await next_task(bob, queues=("system", "llm"), capabilities=("gpu", "python", "rust")) == "gpu"
        assert await next_task(bob, capabilities=("python", "gpu")) == "python"

    async def test_the_most_urgent_and_oldest_comes_first_across_queues(self, m: Mycelium, clock: FakeClock) -> None:
        wanted = [("c", "critical", "two"), ("a", "normal", "one"), ("b", "normal", None), ("d", "low", "two")]
        for id, priority, queue in sorted(wanted):
            await m.backend.commit(puts(task(clock, id, priority=priority, queue=queue)))
        assert [await next_task(m) for _ in wanted] == ["c", "a", "b", "d"]

    @pytest.mark.parametrize("held_back", ["paused", "approval"])
    async def test_what_is_held_back_is_not_claimed_until_it_is_let_go(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock, held_back: str
    ) -> None:
        fields = {"paused": True} if held_back == "paused" else {"approval": "Deploy?"}
        held = task(clock, "t", **fields)
        await m.backend.commit(puts(held))
        assert await next_task(bob) is None
        assert (await bob.backend.stats()).ready == 0
        free = held.changed(paused=False, approved=Approval(by="eve", at=clock()))
        await m.backend.commit(puts(free))
        assert (await bob.backend.stats()).ready == 1
        assert await next_task(bob) == "t"

    async def test_a_task_with_an_outcome_may_wait_again(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        first, second = task(clock, "first"), task(clock, "second", depends_on=["first"], blocked=True)
        await m.backend.commit(puts(first, second))
        failed = first.changed(status="failed")
        skipped = second.changed(status="skipped", blocked=False)
        await m.backend.commit(puts(failed, skipped))
        again, blocked = failed.changed(status="pending"), skipped.changed(status="pending", blocked=True)
        await m.backend.commit(puts(again, blocked))
        assert await bob.backend.waiting_on("second", 10) == ["first"]
        assert [task.id for task in (await bob.list_tasks(ready=True)).records] == ["first"]
        claimed = await bob.claim_task()
        assert claimed is not None
        await bob.complete_task("first")
        claimed = await m.claim_task()
        assert claimed is not None
        assert claimed.id == "second"
        assert (await bob.get_stats()).tasks == {"completed": 1, "running": 1}

    async def test_a_running_task_without_a_lease_comes_due_by_its_limit(self, m: Mycelium, clock: FakeClock) -> None:
        runs = task(clock, "t", status="running", runs="w", started_at=clock(), timeout_seconds=30.0)
        await m.backend.commit(puts(runs))
        assert (await m.backend.due(10)).next_at == clock() + timedelta(seconds=30)
        clock.advance(31)
        assert (await m.backend.due(10)).records == [runs]
