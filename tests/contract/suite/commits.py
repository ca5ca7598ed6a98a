"""The seam itself: rules are applied whole or not at all, one after another, and the bell rings."""

from collections.abc import Callable
from datetime import timedelta

import anyio
import pytest

from mycelium import Mycelium
from mycelium.backend import Bell
from mycelium.errors import Conflict
from mycelium.models import Agent, ClaimRequest, Record, Task
from mycelium.rules import Change, NewEvent, View
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, log, snapshot


def task(clock: FakeClock, id: str) -> Task:
    return Task(id=id, type="x", created_at=clock(), updated_at=clock())


def agent(clock: FakeClock, name: str) -> Agent:
    return Agent(name=name, last_updated=clock())


def puts(*records: Record, data: object = 1) -> Callable[[View], Change[None]]:
    return lambda view: Change(None, puts=records, events=[NewEvent("c", "put", None, {"n": data})])


class Broken(Exception):
    """What a rule of these tests raises."""


class CommitContract(Contract):
    async def test_what_a_rule_raises_comes_out_and_nothing_happens(self, m: Mycelium) -> None:
        before = await snapshot(m)

        def rule(view: View) -> Change[None]:
            raise Broken

        with pytest.raises(Broken):
            await m.backend.commit(rule)
        assert await snapshot(m) == before

    @pytest.mark.parametrize("case", ["an event that cannot be written", "an id that is taken", "an id twice"])
    async def test_a_change_that_cannot_be_applied_leaves_nothing(
        self, m: Mycelium, clock: FakeClock, case: str
    ) -> None:
        await m.backend.commit(puts(task(clock, "taken")))
        before = await snapshot(m)
        rule = {
            "an event that cannot be written": puts(agent(clock, "eve"), task(clock, "new"), data=object()),
            "an id that is taken": puts(agent(clock, "eve"), task(clock, "new"), task(clock, "taken")),
            "an id twice": puts(agent(clock, "eve"), task(clock, "new"), task(clock, "new")),
        }[case]
        with pytest.raises(Exception) as caught:  # noqa: PT011 - a rule that breaks its word may raise anything
            await m.backend.commit(rule)
        assert isinstance(caught.value, Conflict) == case.startswith("an id")
        assert await snapshot(m) == before

    async def test_a_rule_that_fails_spoils_no_other_at_the_same_moment(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        raised: list[int] = []

        def broken(view: View) -> Change[None]:
            raise Broken

        async def commit(n: int) -> None:
            rules = (puts(task(clock, f"t-{n}")), puts(agent(clock, "x"), task(clock, "t-0")), broken)
            try:
                await (m, bob)[n % 2].backend.commit(rules[0] if n % 3 else rules[1 + n // 3 % 2])
            except (Broken, Conflict):
                raised.append(n)

        await m.backend.commit(puts(task(clock, "t-0")))
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for n in range(1, 61):
                    group.start_soon(commit, n)
        assert sorted(raised) == list(range(3, 61, 3))
        stored = {task.id for task in (await m.list_tasks(limit=1000)).records}
        assert stored == {"t-0", *(f"t-{n}" for n in range(1, 61) if n % 3)}
        assert (await m.list_agents()).records == []
        assert [event.seq for event in await log(m)] == list(range(1, 42))

    async def test_no_change_comes_between_what_a_rule_saw_and_what_it_did(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        def count(view: View) -> Change[int]:
            found = view.get(Agent, "counter")
            counted = found.changed(metadata={}) if found else agent(clock, "counter")
            return Change(counted.version, puts=(counted,))

        results: list[int] = []

        async def commit(n: int) -> None:
            results.append((await (m, bob)[n % 2].backend.commit(count)).result)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for n in range(100):
                    group.start_soon(commit, n)
        assert sorted(results) == list(range(1, 101))

    async def test_a_commit_answers_with_its_result_and_its_events_as_the_log_has_them(
        self, m: Mycelium, clock: FakeClock
    ) -> None:
        first = await m.backend.commit(puts(task(clock, "a")))
        committed = await m.backend.commit(
            lambda view: Change("answer", events=[NewEvent("c", "one", "ada", {}), NewEvent("d", "two", None, {})])
        )
        assert committed.result == "answer"
        assert [*first.events, *committed.events] == await log(m)
        assert [(event.type, event.source) for event in await log(m)] == [("put", None), ("one", "ada"), ("two", None)]
        assert not (await m.backend.commit(lambda view: Change(None))).events

    async def test_a_rule_sees_the_time_of_the_store(self, m: Mycelium, clock: FakeClock) -> None:
        clock.advance(1234.5)
        assert (await m.backend.commit(lambda view: Change(view.now))).result == clock()

    async def test_records_come_in_the_order_asked_with_gaps(self, m: Mycelium, clock: FakeClock) -> None:
        a, b = task(clock, "a"), task(clock, "b")
        await m.backend.commit(puts(a, b))
        assert await m.backend.get(Task, ["b", "no", "a", "b"]) == [b, None, a, b]
        assert await m.backend.get(Agent, ["a"]) == [None]
        assert await m.backend.get(Task, []) == []

    async def test_a_removed_record_is_gone(self, m: Mycelium, clock: FakeClock) -> None:
        await m.backend.commit(puts(agent(clock, "eve"), agent(clock, "zoe")))
        await m.backend.commit(lambda view: Change(None, removes=(agent(clock, "eve"),)))
        assert await m.backend.get(Agent, ["eve", "zoe"]) == [None, agent(clock, "zoe")]

    async def test_a_grant_that_fails_leaves_the_task_to_others(self, m: Mycelium) -> None:
        made = await m.create_task("x")
        before = await snapshot(m)

        def grant(view: View, task: Task) -> Change[Task]:
            assert task == made
            raise Broken

        with pytest.raises(Broken):
            await m.backend.claim(ClaimRequest(agent="ada", seconds=5), grant)
        assert await snapshot(m) == before
        claimed = await m.claim_task()
        assert claimed is not None
        assert claimed.id == made.id

    async def test_a_call_that_was_cancelled_is_done_or_not_done(self, m: Mycelium, clock: FakeClock) -> None:
        for n in range(20):
            with anyio.move_on_after(0):
                await m.backend.commit(puts(task(clock, f"t-{n}")))
        await m.backend.commit(puts(task(clock, "last")))
        tasks, events = (await m.list_tasks(limit=1000)).records, await log(m)
        assert len(tasks) == len(events)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))

    async def test_what_is_due_comes_longest_due_first(self, m: Mycelium, clock: FakeClock) -> None:
        start = clock()
        await m.store_agent_status("late", ttl=30)
        second = await m.create_task("x", not_before=start + timedelta(seconds=20))
        await m.store_agent_status("first", ttl=10)
        due = await m.backend.due(10)
        assert (due.records, due.next_at) == ([], start + timedelta(seconds=10))
        clock.advance(25)
        due = await m.backend.due(10)
        assert ([record.key for record in due.records], due.next_at) == (
            ["first", second.id], start + timedelta(seconds=30),
        )  # fmt: skip
        assert [record.key for record in (await m.backend.due(1)).records] == ["first"]
        clock.advance(1000)
        assert (await m.backend.due(10)).next_at is None

    async def test_the_bell_rings_for_changes_here_and_elsewhere(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        with anyio.fail_after(PATIENCE):
            async with m.backend.changes() as bell:
                for n, who in enumerate((m, bob, bob, m)):
                    async with anyio.create_task_group() as group:
                        group.start_soon(hear, bell, m, n + 1)
                        await who.backend.commit(puts(task(clock, f"t-{n}")))

    async def test_a_change_between_two_waits_is_not_missed(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        with anyio.fail_after(PATIENCE):
            async with m.backend.changes() as bell, m.backend.changes() as other:
                await bob.backend.commit(puts(task(clock, "a")))
                await hear(bell, m, 1)
                await bob.backend.commit(puts(task(clock, "b")))
                await hear(bell, m, 2)
                await hear(other, m, 2)


async def hear(bell: Bell, m: Mycelium, seq: int) -> None:
    """Wait for the bell until this event is there."""
    while True:
        await bell.wait()
        if await m.last_seq() >= seq:
            return
