"""Tasks: created, found, finished, cancelled."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.errors import Conflict, IllegalTransition, NotFound
from mycelium.models import Priority, TaskStatus
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, is_ready, log, refuses, status, token_of, told

PAYLOADS: list[dict[str, Any]] = [
    {},
    {"a": None, "b": [True, False, 0, -1, 1.5, "", {"c": []}]},
    {"text": "Grüße, 世界 🎉", "nul": "\0", "lines": "a\r\nb\u2028c"},
    {"big": 2**70, "small": -(2**70), "tiny": 5e-324, "huge": 1.7e308},
    {"": {"": ""}, "__proto__": 1, "kind": "task", "id": "x"},
]


def nested(levels: int) -> dict[str, Any]:
    """An object within an object, and so on."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


class TaskContract(Contract):
    async def test_a_created_task_has_what_was_said_of_it(self, m: Mycelium, clock: FakeClock) -> None:
        first = await m.create_task("prepare")
        task = await m.create_task(
            "review",
            title="Look at it",
            payload={"pull_request": 7},
            assigned_to="bob",
            depends_on=[first.id, first.id],
            priority="high",
            run_when="all_done",
            max_attempts=3,
            retry_backoff=2.5,
            timeout_seconds=10,
            not_before=clock() + timedelta(seconds=5),
            idempotency_key="only once",
        )
        found = await m.get_task(task.id)
        assert found == task
        assert (found.type, found.title, found.payload) == ("review", "Look at it", {"pull_request": 7})
        assert (found.assigned_to, found.depends_on, found.priority) == ("bob", (first.id,), "high")
        assert (found.run_when, found.max_attempts, found.retry_backoff) == ("all_done", 3, 2.5)
        assert (found.timeout_seconds, found.not_before) == (10, clock() + timedelta(seconds=5))
        assert (found.status, found.blocked, found.created_by) == ("pending", True, "ada")
        assert (found.created_at, found.updated_at, found.version) == (clock(), clock(), 1)

    async def test_creating_a_task_is_one_event_which_says_whether_it_is_ready(self, m: Mycelium) -> None:
        task = await m.create_task("review", title="Look")
        later = await m.create_task("merge", depends_on=[task.id])
        first, second = await log(m)
        assert (first.channel, first.type, first.source) == ("tasks:events", "task.created", "ada")
        assert first.data == {"task_id": task.id, "task_type": "review", "title": "Look", "ready": True}
        assert second.data == {"task_id": later.id, "task_type": "merge"}

    @pytest.mark.parametrize("payload", PAYLOADS)
    async def test_a_payload_comes_back_as_it_went_in(self, m: Mycelium, payload: dict[str, Any]) -> None:
        task = await m.create_task("x", payload=payload)
        await claimed(m, task.id)
        await m.complete_task(task.id, payload)
        found = await m.get_task(task.id)
        assert found.payload == payload
        assert found.result == payload

    @pytest.mark.parametrize("levels", [100, 145])
    async def test_a_deeply_nested_payload_that_is_accepted_comes_back(self, m: Mycelium, levels: int) -> None:
        task = await m.create_task("x", payload=nested(levels))
        event = await m.publish_event("builds", nested(levels))
        assert (await m.get_task(task.id)).payload == nested(levels)
        assert (await m.latest_events(["builds"])).events == [event]

    async def test_what_a_caller_does_with_a_record_does_not_change_the_store(self, m: Mycelium) -> None:
        payload: dict[str, Any] = {"list": [1]}
        task = await m.create_task("x", payload=payload)
        payload["list"].append(2)
        task.payload["more"] = True
        (await m.get_task(task.id)).payload["more"] = True
        (await m.list_tasks()).records[0].payload["more"] = True
        assert (await m.get_task(task.id)).payload == {"list": [1]}

    async def test_what_a_caller_does_deep_within_an_object_does_not_change_the_store(self, m: Mycelium) -> None:
        said: dict[str, Any] = {"a": {"list": [1]}}

        def spoil(objects: Mapping[str, Any]) -> None:
            assert objects == {"a": {"list": [1]}}
            objects["a"]["list"].append(2)

        await m.create_task("x", payload=said)
        task = await claimed(m)
        spoil(task.payload)
        outcome = await m.complete_task(task.id, said)
        spoil(outcome.result or {})
        spoil(outcome.payload)
        spoil((await m.publish_event("c", said)).data)
        spoil((await m.store_agent_status("eve", metadata=said)).metadata)
        spoil(said)
        for _ in range(2):
            found = await m.get_task(task.id)
            spoil(found.payload)
            spoil(found.result or {})
            spoil((await m.list_tasks()).records[0].payload)
            spoil((await m.read_events(["c"], after=0)).events[0].data)
            spoil((await m.get_agent_status("eve")).metadata)

    async def test_an_unknown_task_is_not_found(self, m: Mycelium) -> None:
        async with refuses(m, "not_found") as caught:
            await m.get_task("t-nowhere")
        assert isinstance(caught.value, NotFound)
        assert caught.value.data == {"kind": "task", "id": "t-nowhere"}

    async def test_several_tasks_come_in_the_order_asked_without_the_unknown(self, m: Mycelium) -> None:
        one, two = await m.create_task("one"), await m.create_task("two")
        assert await m.get_tasks([two.id, "nowhere", one.id]) == [two, one]

    @pytest.mark.parametrize("field", ["title", "type", "assigned_to", "priority", "max_attempts"])
    async def test_the_same_key_for_another_task_is_a_conflict(self, m: Mycelium, field: str) -> None:
        other: dict[str, Any] = {
            "title": "else", "type": "else", "assigned_to": "eve", "priority": "low", "max_attempts": 2,
        }  # fmt: skip
        task = await m.create_task("x", idempotency_key="k")
        async with refuses(m, "conflict") as caught:
            said: dict[str, Any] = {"type": "x", "idempotency_key": "k", field: other[field]}
            await m.create_task(**said)
        assert isinstance(caught.value, Conflict)
        assert caught.value.data == {"task_id": task.id, "differs": [field]}

    async def test_the_same_key_gives_the_same_task_even_when_it_is_finished(self, m: Mycelium) -> None:
        task = await m.create_task("x", payload={"a": 1}, idempotency_key="k")
        await done(m, task.id)
        events = await log(m)
        again = await m.create_task("x", payload={"a": 1}, idempotency_key="k")
        assert (again.id, again.status) == (task.id, "completed")
        assert await log(m) == events

    async def test_the_same_key_survives_that_its_start_time_has_passed(self, m: Mycelium, clock: FakeClock) -> None:
        at = clock() + timedelta(seconds=5)
        task = await m.create_task("x", not_before=at, idempotency_key="k")
        clock.advance(6)
        await m.housekeep()
        assert (await m.create_task("x", not_before=at, idempotency_key="k")).id == task.id

    async def test_the_same_key_with_another_payload_is_a_conflict_as_json_sees_it(self, m: Mycelium) -> None:
        task = await m.create_task("x", payload={"a": 1, "b": 2}, idempotency_key="k")
        assert await m.create_task("x", payload={"b": 2, "a": 1}, idempotency_key="k") == task
        async with refuses(m, "conflict"):
            await m.create_task("x", payload={"a": True, "b": 2}, idempotency_key="k")
        async with refuses(m, "conflict"):
            await m.create_task("x", payload={"a": 1}, idempotency_key="k")

    async def test_claims_go_by_priority_then_age(self, m: Mycelium) -> None:
        wanted: list[Priority] = ["normal", "low", "critical", "high", "normal", "critical", "low", "high"]
        made = [await m.create_task("x", priority=priority) for priority in wanted]
        order = [made[place].id for place in (2, 5, 3, 7, 0, 4, 1, 6)]
        assert [(await claimed(m)).id for _ in made] == order
        assert await m.claim_task() is None

    async def test_a_returned_task_keeps_its_place_by_age(self, m: Mycelium) -> None:
        old, _young = await m.create_task("old"), await m.create_task("young")
        await claimed(m, old.id)
        await m.update_task(old.id, release=True)
        assert (await claimed(m)).id == old.id

    async def test_an_assigned_task_is_for_that_agent_alone(self, m: Mycelium, bob: Mycelium) -> None:
        task = await m.create_task("x", assigned_to="bob", priority="critical")
        free = await m.create_task("x")
        assert (await claimed(m)).id == free.id
        assert await m.claim_task() is None
        async with refuses(m, "not_claimable") as caught:
            await m.claim_task(task.id)
        assert caught.value.data["assigned_to"] == "bob"
        assert (await claimed(bob)).id == task.id

    async def test_a_claim_by_types_takes_only_those(self, m: Mycelium) -> None:
        await m.create_task("build", priority="critical")
        test, lint = await m.create_task("test"), await m.create_task("lint", priority="high")
        assert await m.claim_task(types=["deploy"]) is None
        assert await m.claim_task(types=[f"x{n}" for n in range(100)]) is None
        first = await m.claim_task(types=["test", "lint"] * 50)
        second = await m.claim_task(types=["test", "lint"])
        assert [task.id for task in (first, second) if task] == [lint.id, test.id]
        assert await m.claim_task(types=["test", "lint"]) is None

    async def test_a_task_waits_for_its_time(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", not_before=clock() + timedelta(seconds=10))
        assert await status(m, task.id) == "waiting"
        assert await m.claim_task() is None
        async with refuses(m, "not_claimable"):
            await m.claim_task(task.id)
        clock.advance(10)
        assert (await claimed(m)).id == task.id

    async def test_housekeeping_tells_once_that_a_task_is_ready(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", not_before=clock() + timedelta(seconds=10))
        assert await m.housekeep() == 0
        clock.advance(10)
        assert await m.housekeep() == 1
        assert await m.housekeep() == 0
        assert await told(m, task.id) == ["task.created", "task.ready"]

    async def test_a_dependent_whose_time_has_passed_is_told_ready_once(self, m: Mycelium, clock: FakeClock) -> None:
        first = await m.create_task("x")
        task = await m.create_task("x", depends_on=[first.id], not_before=clock() + timedelta(seconds=10))
        clock.advance(20)
        await m.housekeep()
        assert await status(m, task.id) == "blocked"
        await done(m, first.id)
        assert await m.housekeep() == 0
        assert await told(m, task.id) == ["task.created", "task.ready"]

    async def test_a_dependent_is_told_ready_when_its_time_comes_too(self, m: Mycelium, clock: FakeClock) -> None:
        first = await m.create_task("x")
        task = await m.create_task("x", depends_on=[first.id], not_before=clock() + timedelta(seconds=10))
        await done(m, first.id)
        assert await status(m, task.id) == "waiting"
        assert await told(m, task.id) == ["task.created"]
        clock.advance(10)
        await m.housekeep()
        assert await status(m, task.id) == "ready"
        assert await told(m, task.id) == ["task.created", "task.ready"]

    async def test_a_start_time_in_the_past_does_not_delay(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", not_before=clock() - timedelta(days=1))
        assert await is_ready(m, task.id)
        assert await m.housekeep() == 0

    async def test_a_clock_that_was_put_back_does_not_hide_a_task(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x")
        clock.advance(-3600)
        other = await m.create_task("x", max_attempts=2, retry_backoff=0)
        assert (await claimed(m)).id == task.id
        await m.update_task(task.id, release=True)
        assert await is_ready(m, task.id)
        assert {(await claimed(m)).id, (await claimed(m)).id} == {task.id, other.id}

    async def test_progress_is_kept_and_told(self, m: Mycelium, clock: FakeClock) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        clock.advance(1)
        assert (await m.update_task(task.id, progress=0.25, note="a quarter")).progress == 0.25
        found = await m.get_task(task.id)
        assert (found.progress, found.note, found.updated_at) == (0.25, "a quarter", clock())
        assert (await log(m))[-1].data == {
            "task_id": task.id, "task_type": "x", "progress": 0.25, "note": "a quarter",
        }  # fmt: skip

    async def test_a_completed_task_has_its_result(self, m: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        await m.complete_task(task.id, {"loss": 0.04})
        found = await m.get_task(task.id)
        assert (found.status, found.result, found.progress, found.lease) == ("completed", {"loss": 0.04}, 1.0, None)
        assert await told(m, task.id) == ["task.created", "task.started", "task.completed"]

    async def test_a_failed_task_has_its_error(self, m: Mycelium) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        await m.fail_task(task.id, {"error": "out of memory", "trace": ["a"]})
        found = await m.get_task(task.id)
        assert (found.status, found.error, found.lease) == (
            "failed", {"error": "out of memory", "trace": ["a"]}, None,
        )  # fmt: skip
        assert (await log(m))[-1].data["error"] == "out of memory"

    @pytest.mark.parametrize("before", ["ready", "blocked", "running", "waiting"])
    async def test_an_unfinished_task_can_be_cancelled(self, m: Mycelium, clock: FakeClock, before: str) -> None:
        other = await m.create_task("other")
        task = await m.create_task(
            "x",
            depends_on=[other.id] if before == "blocked" else (),
            not_before=clock() + timedelta(hours=1) if before == "waiting" else None,
        )
        if before == "running":
            await claimed(m, task.id)
        assert await status(m, task.id) == before
        assert (await m.cancel_task(task.id, reason="not wanted")).status == "cancelled"
        found = await m.get_task(task.id)
        assert (found.status, found.error, found.lease, found.blocked) == (
            "cancelled", {"error": "not wanted"}, None, False,
        )  # fmt: skip
        events = await log(m)
        assert (await m.cancel_task(task.id)).status == "cancelled"
        assert await log(m) == events
        assert (events[-1].type, events[-1].data["reason"]) == ("task.cancelled", "not wanted")

    async def test_the_holder_of_a_cancelled_task_is_told_so(self, m: Mycelium, bob: Mycelium) -> None:
        task = await claimed(bob, (await m.create_task("x")).id)
        await m.cancel_task(task.id)
        async with refuses(m, "stale_lease") as caught:
            await bob.complete_task(task.id)
        assert caught.value.data["status"] == "cancelled"
        assert "holder" not in caught.value.data

    @pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled", "skipped"])
    async def test_a_finished_task_takes_no_more_changes(self, m: Mycelium, outcome: TaskStatus) -> None:
        first = await m.create_task("first")
        task = await m.create_task("x", depends_on=[first.id] if outcome == "skipped" else ())
        match outcome:
            case "completed":
                await done(m, task.id)
            case "failed":
                await claimed(m, task.id)
                await m.fail_task(task.id, "broken")
            case "cancelled":
                await m.cancel_task(task.id)
            case _:
                await m.cancel_task(first.id)
        assert await status(m, task.id) == outcome
        await m.see()
        changes = [
            lambda: m.claim_task(task.id),
            lambda: m.update_task(task.id, progress=0.5),
            lambda: m.update_task(task.id, release=True),
            lambda: m.complete_task(task.id),
            lambda: m.fail_task(task.id, "x"),
            lambda: m.renew_lease(task.id),
        ]
        if outcome != "cancelled":
            changes.append(lambda: m.cancel_task(task.id))
        for change in changes:
            async with refuses(m, "illegal_transition") as caught:
                await change()
            assert isinstance(caught.value, IllegalTransition)
            assert caught.value.data["status"] == outcome

    async def test_a_pending_task_cannot_be_finished(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        for change in (
            lambda: m.update_task(task.id, progress=0.5),
            lambda: m.update_task(task.id, release=True),
            lambda: m.complete_task(task.id),
            lambda: m.fail_task(task.id, "x"),
            lambda: m.renew_lease(task.id),
        ):
            async with refuses(m, "illegal_transition"):
                await change()

    async def test_statuses_lead_to_the_verbs(self, m: Mycelium) -> None:
        task = await m.create_task("x", max_attempts=1)
        running = await m.update_task_status(task.id, "running", progress=0.5, current_epoch=2)
        assert (running.status, running.progress, running.note) == ("running", 0.5, "current_epoch=2")
        assert (await m.update_task_status(task.id, "running", progress=0.75)).attempt == 1
        assert (await m.update_task_status(task.id, "pending", note="back")).note == "back"
        await m.update_task_status(task.id, "running")
        assert (await m.update_task_status(task.id, "completed", loss=0.04)).result == {"loss": 0.04}
        other = await m.create_task("x")
        await m.update_task_status(other.id, "running")
        assert (await m.update_task_status(other.id, "failed", error="broken")).error == {"error": "broken"}
        third = await m.create_task("x")
        assert (await m.update_task_status(third.id, "cancelled", reason="no")).error == {"error": "no"}
        async with refuses(m, "invalid_input"):
            await m.update_task_status(third.id, "skipped")

    async def test_a_wrong_detail_does_not_leave_a_task_half_started(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        async with refuses(m, "invalid_input"):
            await m.update_task_status(task.id, "running", progress=7)

    async def test_finished_tasks_do_not_crowd_out_an_agents_open_ones(self, m: Mycelium) -> None:
        open_task = await m.create_task("x", assigned_to="bob")
        workflow = await m.create_workflow("y", [{"name": f"n{n}", "assigned_to": "bob"} for n in range(1001)])
        await m.complete_workflow(workflow.id)
        assert [task.id for task in await m.get_tasks_for_agent("bob")] == [open_task.id]

    async def test_the_tasks_of_an_agent_are_those_assigned_and_those_held(self, m: Mycelium, bob: Mycelium) -> None:
        assigned = await m.create_task("x", assigned_to="bob")
        held = await m.create_task("x")
        finished = await m.create_task("x", assigned_to="bob")
        await m.create_task("x", assigned_to="ada")
        await claimed(bob, held.id)
        await done(bob, finished.id)
        assert {task.id for task in await m.get_tasks_for_agent("bob")} == {assigned.id, held.id}

    async def test_stats_count_what_is_stored(self, m: Mycelium, clock: FakeClock) -> None:
        first = await m.create_task("x")
        await m.create_task("x", depends_on=[first.id])
        await m.create_task("x", not_before=clock() + timedelta(seconds=10))
        held = await m.create_task("x")
        token_of(await claimed(m, held.id))
        await m.create_workflow("w", ["only"])
        await done(m, (await m.create_task("x")).id)
        stats = await m.get_stats()
        assert {key: count for key, count in stats.tasks.items() if count} == {
            "pending": 4, "running": 1, "completed": 1,
        }  # fmt: skip
        assert (stats.ready, stats.mode, stats.url) == (2, m.mode, m.backend.url)
        assert {key: count for key, count in stats.agents.items() if count} == {"idle": 1}
        assert {key: count for key, count in stats.workflows.items() if count} == {"running": 1}
        assert stats.last_seq == await m.last_seq() == len(await log(m))
        clock.advance(10)
        assert (await m.get_stats()).ready == 3
