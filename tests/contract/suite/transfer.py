"""Moving: the whole store as lines, and back."""

import json
from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.models import Task, Workflow
from mycelium_backends.memory import open_backend
from tests.contract.suite.base import Contract
from tests.contract.suite.misfits import MISFITS
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, failed, refuses, snapshot, status


async def lines_of(lines: Iterable[str]) -> AsyncGenerator[str]:
    for line in lines:
        yield line


async def fill(m: Mycelium, clock: FakeClock) -> dict[str, str]:
    """A store with a bit of everything; the ids of what the tests go on with."""
    first = await m.create_task("x", title="Ärger\n", payload={"a": [1, None, "é"]}, idempotency_key="k")
    blocked = await m.create_task("x", depends_on=[first.id], run_when="all_done", priority="high")
    await m.create_task("x", not_before=clock() + timedelta(seconds=30))
    held = await claimed(m, (await m.create_task("x", timeout_seconds=50)).id, seconds=40)
    retried = await m.create_task("x", max_attempts=3)
    await claimed(m, retried.id)
    await m.fail_task(retried.id, "again")
    over = await m.create_task("x")
    await m.create_task("x", depends_on=[over.id])
    await failed(m, over.id)
    workflow = await m.create_workflow("w", ["a", "b"], metadata={"z": 1})
    await done(m, workflow.tasks[0])
    await m.create_workflow("by hand")
    await m.store_agent_status("zoe", "error", capabilities=["gpu"], ttl=7)
    await m.store_agent_status("gone")
    await m.remove_agent_status("gone")
    await m.publish_event("mine", {"n": 1.5})
    return {"first": first.id, "blocked": blocked.id, "held": held.id, "workflow": workflow.id}


class TransferContract(Contract):
    async def test_an_export_loads_into_an_equal_store(self, m: Mycelium, fresh: Mycelium, clock: FakeClock) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        assert await fresh.load(lines_of(exported)) == len(exported) - 2
        assert await snapshot(fresh) == exported
        mine, theirs = await m.get_stats(), await fresh.get_stats()
        assert (theirs.tasks, theirs.ready, theirs.agents, theirs.workflows, theirs.last_seq) == (
            mine.tasks, mine.ready, mine.agents, mine.workflows, mine.last_seq,
        )  # fmt: skip

    async def test_an_export_reads_the_same_from_every_backend(
        self, m: Mycelium, fresh: Mycelium, clock: FakeClock
    ) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        async with Mycelium.over(await open_backend("memory:", clock), clock=clock, background=False) as memory:
            await memory.load(lines_of(exported))
            assert await snapshot(memory) == exported
            await fresh.load(lines_of(await snapshot(memory)))
        assert await snapshot(fresh) == exported

    async def test_a_loaded_store_goes_on_where_the_other_stopped(
        self, m: Mycelium, fresh: Mycelium, clock: FakeClock
    ) -> None:
        ids = await fill(m, clock)
        await fresh.load(lines_of(await snapshot(m)))
        last = await fresh.last_seq()
        token = (await m.get_task(ids["held"])).token
        assert (await fresh.complete_task(ids["held"], lease_token=token)).status == "completed"
        assert await status(fresh, ids["blocked"]) == "blocked"
        await done(fresh, ids["first"])
        assert await status(fresh, ids["blocked"]) == "ready"
        await done(fresh, f"{ids['workflow']}.b")
        assert (await fresh.get_workflow(ids["workflow"])).status == "completed"
        same = {"title": "Ärger\n", "payload": {"a": [1, None, "é"]}, "idempotency_key": "k"}
        assert (await fresh.create_task("x", **same)).id == ids["first"]  # pyright: ignore[reportArgumentType]
        assert (await fresh.read_events(after=last)).events[0].seq == last + 1
        clock.advance(31)
        assert await fresh.housekeep() > 0

    async def test_a_loaded_store_lists_and_claims_in_the_old_order(
        self, m: Mycelium, fresh: Mycelium, clock: FakeClock
    ) -> None:
        made = [(await m.create_task("x")).id for _ in range(5)]
        await claimed(m, made[0])
        await m.update_task(made[0], release=True)
        await fresh.load(lines_of(await snapshot(m)))
        assert [task.id for task in (await fresh.list_tasks()).records] == made[::-1]
        assert [(await claimed(fresh)).id for _ in made] == made

    async def test_an_export_shows_one_moment_while_others_write(self, m: Mycelium, bob: Mycelium) -> None:
        for _ in range(300):
            await m.create_task("x")
        lines: list[str] = []
        async for line in m.export():
            lines.append(line)
            if len(lines) % 50 == 1:
                await bob.create_task("new")
                await m.list_tasks()
        kinds = [json.loads(line)["kind"] for line in lines]
        assert kinds.count("task") == kinds.count("event")

    async def test_a_store_that_has_a_history_takes_no_other(
        self, m: Mycelium, fresh: Mycelium, clock: FakeClock
    ) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        await fresh.create_task("x")
        async with refuses(fresh, "conflict"):
            await fresh.load(lines_of(exported))
        async with refuses(m, "conflict"):
            await m.load(lines_of(exported))
        records = [line for line in exported[:-1] if '"kind":"event"' not in line]
        records.append(json.dumps({"kind": "end", "count": len(records) - 1}))
        async with refuses(m, "conflict"):
            await m.load(lines_of(records))

    @pytest.mark.parametrize("kept", [slice(0), slice(-1), slice(4), slice(4, None)])
    async def test_a_cut_export_is_refused(self, m: Mycelium, fresh: Mycelium, clock: FakeClock, kept: slice) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        async with refuses(fresh, "invalid_input") as caught:
            await fresh.load(lines_of(exported[kept]))
        assert "cut short" in str(caught.value)

    @pytest.mark.parametrize(
        "line",
        [
            {"kind": "event", "seq": 10**30, "id": "a-1", "channel": "c", "type": "t", "time": "2030-01-01T00:00:00Z"},
            {"kind": "agent", "name": "a", "last_updated": "9999-12-31T23:59:59Z"},
            {"kind": "agent", "name": "a", "last_updated": "2030-01-01T00:00:00Z", "version": 2**63},
        ],
    )
    async def test_numbers_and_times_that_no_store_can_hold_are_refused(
        self, fresh: Mycelium, line: dict[str, Any]
    ) -> None:
        lines = [{"kind": "mycelium", "format": 1}, line, {"kind": "end", "count": 1}]
        async with refuses(fresh, "invalid_input") as caught:
            await fresh.load(lines_of(json.dumps(each) for each in lines))
        assert caught.value.data["line"] == 2

    async def test_nothing_may_stand_behind_the_end(self, m: Mycelium, fresh: Mycelium, clock: FakeClock) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        async with refuses(fresh, "invalid_input") as caught:
            await fresh.load(lines_of([*exported, exported[1]]))
        assert caught.value.data["line"] == len(exported) + 1

    async def test_empty_lines_do_not_matter(self, m: Mycelium, fresh: Mycelium, clock: FakeClock) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        await fresh.load(lines_of(each for line in exported for each in ("", line + "\n", "  \n")))
        assert await snapshot(fresh) == exported

    @pytest.mark.parametrize(
        "bad",
        [
            "nonsense",
            "{",
            "[]",
            "5",
            "null",
            '"x"',
            "[" * 100_000,
            "9" * 5000,
            '{"kind":"trigger"}',
            '{"kind":["task"]}',
            '{"id":"t-1"}',
            '{"kind":"mycelium","format":2}',
            '{"kind":"mycelium"}',
            "again",
            "wrong:id:../x",
            "wrong:id:a/b",
            "wrong:status:done",
            "wrong:version:first",
            "wrong:version:0",
            "wrong:created_at:2030-01-01",
            "wrong:colour:red",
            "wrong:payload:NaN",
        ],
    )
    async def test_a_bad_line_is_refused_by_its_number_and_nothing_is_loaded(
        self, m: Mycelium, fresh: Mycelium, clock: FakeClock, bad: str
    ) -> None:
        await m.create_task("y")
        await m.create_task("x")
        lines = await snapshot(m)
        task: dict[str, Any] = json.loads(lines[2])
        assert task["kind"] == "task"
        if bad == "again":
            bad = lines[1]
        elif bad.startswith("wrong:"):
            _, field, value = bad.split(":", 2)
            bad = json.dumps({**task, field: {"n": float("nan")} if value == "NaN" else value})
        async with refuses(fresh, "invalid_input") as caught:
            await fresh.load(lines_of([lines[0], lines[1], bad, *lines[3:]]))
        assert str(caught.value).startswith("Line 3:")
        assert caught.value.data["line"] == 3

    @pytest.mark.parametrize("case", MISFITS)
    async def test_a_record_that_does_not_fit_the_others_is_refused_by_its_line(
        self, m: Mycelium, fresh: Mycelium, clock: FakeClock, case: str
    ) -> None:
        await fill(m, clock)
        exported = await snapshot(m)
        lines: list[dict[str, Any]] = [json.loads(line) for line in exported]
        number, says = MISFITS[case](lines)
        async with refuses(fresh, "invalid_input") as caught:
            await fresh.load(lines_of(json.dumps(line) for line in lines))
        assert caught.value.data["line"] == number
        assert says in caught.value.message

    @pytest.mark.parametrize("order", ["twice", "backwards", "zero"])
    async def test_events_out_of_order_are_refused(self, m: Mycelium, fresh: Mycelium, order: str) -> None:
        await m.publish_event("c")
        await m.publish_event("c")
        head, one, two, _end = await snapshot(m)
        lines = {"twice": [head, one, one], "backwards": [head, two, one],
                 "zero": [head, one.replace('"seq":1', '"seq":0'), two]}[order]  # fmt: skip
        async with refuses(fresh, "invalid_input") as caught:
            await fresh.load(lines_of(lines))
        assert caught.value.data["line"] == (2 if order == "zero" else 3)

    async def test_a_source_that_breaks_off_loads_nothing(self, m: Mycelium, fresh: Mycelium, clock: FakeClock) -> None:
        await fill(m, clock)
        exported = await snapshot(m)

        async def broken() -> AsyncGenerator[str]:
            for line in exported[:5]:
                yield line
            raise OSError

        with pytest.raises(OSError):  # noqa: PT011 - the very error that was raised
            await fresh.load(broken())
        assert len(await snapshot(fresh)) == 2  # the first line and the last

    async def test_records_from_elsewhere_join_those_that_are_there_and_events_tell_of_them(
        self, m: Mycelium, bob: Mycelium, clock: FakeClock
    ) -> None:
        ours = await m.create_task("ours")
        last = await m.last_seq()
        assert await m.take_in(elsewhere(clock)) == 5
        assert [event.type for event in (await bob.read_events(after=last)).events] == [
            "task.created", "task.completed", "task.created", "task.created", "task.created", "task.skipped",
            "workflow.created",
        ]  # fmt: skip
        assert [task.id for task in (await bob.list_tasks()).records] == ["d", "c", "b", "a", ours.id]
        await done(m, ours.id)
        assert (await claimed(bob)).id == "b"
        await bob.complete_task("b")
        assert await status(m, "c") == "ready"
        await done(m, "c")
        assert (await m.get_workflow("theirs")).status == "completed"

    async def test_a_task_from_elsewhere_waits_whatever_its_version(self, m: Mycelium, clock: FakeClock) -> None:
        first = Task(id="first", type="x", version=2, created_at=clock(), updated_at=clock())
        waiting = first.model_copy(update={"id": "waiting", "version": 3, "blocked": True, "depends_on": ("first",)})
        await m.take_in([first, waiting])
        assert await status(m, "waiting") == "blocked"
        await done(m, "first")
        assert await status(m, "waiting") == "ready"

    async def test_records_from_elsewhere_come_all_or_none(self, m: Mycelium, clock: FakeClock) -> None:
        *others, workflow = elsewhere(clock)
        async with refuses(m, "invalid_input") as caught:
            await m.take_in(others)
        assert caught.value.data["id"] == "a"
        await m.take_in([*others, workflow])
        async with refuses(m, "conflict") as caught:
            await m.take_in([*elsewhere(clock, "new"), *elsewhere(clock)])
        assert caught.value.data["id"] == "a"


def elsewhere(clock: FakeClock, prefix: str = "") -> list[Task | Workflow]:
    """A workflow of four tasks: done, ready, waiting for it, and skipped."""
    at: dict[str, Any] = {"created_at": clock(), "updated_at": clock()}
    home = f"{prefix}theirs"
    a, b, c, d = (f"{prefix}{id}" for id in "abcd")
    return [
        Task(id=a, type="x", status="completed", result={"n": 1}, workflow_id=home, **at),
        Task(id=b, type="x", depends_on=(a,), workflow_id=home, **at),
        Task(id=c, type="x", depends_on=(b,), blocked=True, workflow_id=home, **at),
        Task(id=d, type="x", depends_on=(a,), run_when="any_failed", status="skipped", workflow_id=home, **at),
        Workflow(id=home, type="theirs", tasks=(a, b, c, d), **at),
    ]
