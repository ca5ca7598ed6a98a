"""Bad input: an error with a stable code that says what to do, and nothing stored."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.models import MAX_JSON_BYTES
from tests.contract.suite.base import Contract
from tests.support.store import claimed, refuses

NOT_JSON: dict[str, Any] = {
    "NaN": {"a": float("nan")},
    "infinity": {"a": [float("inf")]},
    "minus infinity": {"a": {"b": -float("inf")}},
    "a set": {"a": {1}},
    "bytes": {"a": b"x"},
    "a tuple": {"a": (1, 2)},
    "a time": {"a": datetime(2030, 1, 1, tzinfo=UTC)},
    "an object": {"a": object()},
    "a lone surrogate": {"a": "\ud800"},
    "a lone surrogate as key": {"\udfff": 1},
    "a number as key": {1: 2},
    "a number as inner key": {"a": {1: 2}},
    "None as key": {None: 2},
    "a number of 5000 digits": {"a": 10**5000},
    "a list": [1],
    "a string": "x",
    "a number": 5,
    "a boolean": True,
}


def deep(levels: int) -> dict[str, Any]:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return {"a": value}


for levels in (200, 254, 1000, 100_000):
    NOT_JSON[f"{levels} levels"] = deep(levels)
CIRCLE: dict[str, Any] = {}
CIRCLE["a"] = CIRCLE
NOT_JSON["a circle"] = CIRCLE

BAD_IDS = ["../etc/passwd", "a/b", "a\\b", "/", "..", ".", ".hidden", "-x", "_x", "a b", "a\n", "a\0b", "é", "x" * 129,
           "a:b", "%2e%2e"]  # fmt: skip
GOOD_IDS = ["a", "0", "a.b", "a..b", "a-b_c", "A" * 128, "con", "t-1.x"]

Call = Callable[[Mycelium], Awaitable[object]]


def wrong_calls(m: Any) -> dict[str, tuple[Callable[[], Awaitable[object]], str]]:
    """Calls that are wrong whatever is stored. `m` is taken as untyped: that is what comes over a wire."""
    return {
        "type empty": (lambda: m.create_task(""), "invalid_input"),
        "type of two lines": (lambda: m.create_task("a\nb"), "invalid_input"),
        "type that ends its line": (lambda: m.create_task("a\n"), "invalid_input"),
        "type too long": (lambda: m.create_task("x" * 129), "invalid_input"),
        "type a number": (lambda: m.create_task(5), "invalid_input"),
        "type None": (lambda: m.create_task(None), "invalid_input"),
        "type a surrogate": (lambda: m.create_task("\ud800"), "invalid_input"),
        "title too long": (lambda: m.create_task("x", title="x" * 501), "invalid_input"),
        "title a number": (lambda: m.create_task("x", title=5), "invalid_input"),
        "title a surrogate": (lambda: m.create_task("x", title="\ud800"), "invalid_input"),
        "priority unknown": (lambda: m.create_task("x", priority="urgent"), "invalid_input"),
        "priority a number": (lambda: m.create_task("x", priority=1), "invalid_input"),
        "run_when unknown": (lambda: m.create_task("x", run_when="always"), "invalid_input"),
        "max_attempts zero": (lambda: m.create_task("x", max_attempts=0), "invalid_input"),
        "max_attempts negative": (lambda: m.create_task("x", max_attempts=-1), "invalid_input"),
        "max_attempts half": (lambda: m.create_task("x", max_attempts=1.5), "invalid_input"),
        "max_attempts true": (lambda: m.create_task("x", max_attempts=True), "invalid_input"),
        "max_attempts text": (lambda: m.create_task("x", max_attempts="3"), "invalid_input"),
        "max_attempts a float": (lambda: m.create_task("x", max_attempts=3.0), "invalid_input"),
        "max_attempts None": (lambda: m.create_task("x", max_attempts=None), "invalid_input"),
        "max_attempts text in a workflow": (
            lambda: m.create_workflow("w", [{"name": "a", "max_attempts": "3"}]),
            "invalid_input",
        ),
        "max_attempts huge": (lambda: m.create_task("x", max_attempts=10**30), "invalid_input"),
        "backoff negative": (lambda: m.create_task("x", retry_backoff=-0.1), "invalid_input"),
        "backoff NaN": (lambda: m.create_task("x", retry_backoff=float("nan")), "invalid_input"),
        "backoff infinite": (lambda: m.create_task("x", retry_backoff=float("inf")), "invalid_input"),
        "timeout zero": (lambda: m.create_task("x", timeout_seconds=0), "invalid_input"),
        "timeout negative": (lambda: m.create_task("x", timeout_seconds=-5), "invalid_input"),
        "timeout of centuries": (lambda: m.create_task("x", timeout_seconds=1e12), "invalid_input"),
        "backoff true": (lambda: m.create_task("x", retry_backoff=True), "invalid_input"),
        "timeout true": (lambda: m.create_task("x", timeout_seconds=True), "invalid_input"),
        "timeout a number as text": (lambda: m.create_task("x", timeout_seconds="5"), "invalid_input"),
        "timeout text": (lambda: m.create_task("x", timeout_seconds="soon"), "invalid_input"),
        "not_before without zone": (lambda: m.create_task("x", not_before="2030-01-01T00:00:00"), "invalid_input"),
        "not_before text": (lambda: m.create_task("x", not_before="tomorrow"), "invalid_input"),
        "not_before at the end of time": (
            lambda: m.create_task("x", not_before=datetime.max.replace(tzinfo=UTC)),
            "invalid_input",
        ),
        "assigned_to a path": (lambda: m.create_task("x", assigned_to="../x"), "invalid_id"),
        "assigned_to a number": (lambda: m.create_task("x", assigned_to=5), "invalid_input"),
        "depends_on a string": (lambda: m.create_task("x", depends_on="t-1"), "invalid_input"),
        "depends_on None": (lambda: m.create_task("x", depends_on=None), "invalid_input"),
        "depends_on numbers": (lambda: m.create_task("x", depends_on=[1]), "invalid_input"),
        "depends_on a path": (lambda: m.create_task("x", depends_on=["../x"]), "invalid_id"),
        "depends_on a surrogate": (lambda: m.create_task("x", depends_on=["\ud800"]), "invalid_id"),
        "depends_on too many": (lambda: m.create_task("x", depends_on=["t-1"] * 10_001), "invalid_input"),
        "get a surrogate": (lambda: m.get_task("\ud800"), "invalid_id"),
        "depends_on unknown": (lambda: m.create_task("x", depends_on=["t-1"]), "unknown_dependency"),
        "key empty": (lambda: m.create_task("x", idempotency_key=""), "invalid_input"),
        "key too long": (lambda: m.create_task("x", idempotency_key="x" * 257), "invalid_input"),
        "key a surrogate": (lambda: m.create_task("x", idempotency_key="\ud800"), "invalid_input"),
        "list limit zero": (lambda: m.list_tasks(limit=0), "invalid_input"),
        "list limit negative": (lambda: m.list_tasks(limit=-1), "invalid_input"),
        "list limit too high": (lambda: m.list_tasks(limit=1001), "invalid_input"),
        "list limit half": (lambda: m.list_tasks(limit=1.5), "invalid_input"),
        "list limit text": (lambda: m.list_tasks(limit="10"), "invalid_input"),
        "list limit true": (lambda: m.list_tasks(limit=True), "invalid_input"),
        "list limit huge": (lambda: m.list_tasks(limit=10**5000), "invalid_input"),
        "list status unknown": (lambda: m.list_tasks(status="done"), "invalid_input"),
        "list assigned_to a path": (lambda: m.list_tasks(assigned_to="a/b"), "invalid_id"),
        "list held_by a path": (lambda: m.list_tasks(held_by="a/b"), "invalid_id"),
        "list workflow a path": (lambda: m.list_tasks(workflow_id="a/b"), "invalid_id"),
        "list search a number": (lambda: m.list_tasks(search=5), "invalid_input"),
        "list search a surrogate": (lambda: m.list_tasks(search="\ud800"), "invalid_input"),
        "list cursor a number": (lambda: m.list_tasks(cursor=5), "invalid_input"),
        "waiting_on limit negative": (lambda: m.waiting_on("t-1", limit=-1), "invalid_input"),
        "get_tasks a number": (lambda: m.get_tasks([5]), "invalid_input"),
        "get_tasks a path": (lambda: m.get_tasks(["../x"]), "invalid_id"),
        "claim lease text": (lambda: m.claim_task(lease_seconds="long"), "invalid_input"),
        "claim lease negative": (lambda: m.claim_task(lease_seconds=-1), "invalid_input"),
        "claim types a string": (lambda: m.claim_task(types="build"), "invalid_input"),
        "claim types numbers": (lambda: m.claim_task(types=[1]), "invalid_input"),
        "claim types too many": (lambda: m.claim_task(types=[f"x{n}" for n in range(101)]), "invalid_input"),
        "claim types a surrogate": (lambda: m.claim_task(types=["\ud800"]), "invalid_input"),
        "claim agent a path": (lambda: m.claim_task(agent="../x"), "invalid_id"),
        "claim agent empty": (lambda: m.claim_task(agent=""), "invalid_id"),
        "seen agent empty": (lambda: m.see(""), "invalid_id"),
        "agent empty": (lambda: m.store_agent_status(""), "invalid_id"),
        "agent ttl true": (lambda: m.store_agent_status("eve", ttl=True), "invalid_input"),
        "get agent empty": (lambda: m.get_agent_status(""), "invalid_id"),
        "remove agent empty": (lambda: m.remove_agent_status(""), "invalid_id"),
        "leave agent empty": (lambda: m.leave(""), "invalid_id"),
        "workflow mode empty": (lambda: m.create_workflow("w", mode=""), "invalid_input"),
        "workflow fail with None": (lambda: m.fail_workflow("w-1", None), "invalid_input"),
        "claim agent a number": (lambda: m.claim_task(agent=5), "invalid_id"),
        "claim unknown": (lambda: m.claim_task("t-1"), "not_found"),
        "update unknown": (lambda: m.update_task("t-1", progress=0.5), "not_found"),
        "release unknown": (lambda: m.update_task("t-1", release=True), "not_found"),
        "renew unknown": (lambda: m.renew_lease("t-1"), "not_found"),
        "complete unknown": (lambda: m.complete_task("t-1"), "not_found"),
        "complete unknown with token": (lambda: m.complete_task("t-1", lease_token=5), "not_found"),
        "fail unknown": (lambda: m.fail_task("t-1", "x"), "not_found"),
        "fail with None": (lambda: m.fail_task("t-1", None), "invalid_input"),
        "fail with a list": (lambda: m.fail_task("t-1", ["x"]), "invalid_input"),
        "fail with retry None": (lambda: m.fail_task("t-1", "x", retry=None), "invalid_input"),
        "fail with retry text": (lambda: m.fail_task("t-1", "x", retry="no"), "invalid_input"),
        "release text": (lambda: m.update_task("t-1", release="no"), "invalid_input"),
        "progress true": (lambda: m.update_task("t-1", progress=True), "invalid_input"),
        "fail with a number": (lambda: m.fail_task("t-1", 5), "invalid_input"),
        "cancel unknown": (lambda: m.cancel_task("t-1"), "not_found"),
        "cancel reason too long": (lambda: m.cancel_task("t-1", reason="x" * 501), "invalid_input"),
        "cancel reason a surrogate": (lambda: m.cancel_task("t-1", reason="\ud800"), "invalid_input"),
        "progress negative": (lambda: m.update_task("t-1", progress=-0.1), "invalid_input"),
        "progress over one": (lambda: m.update_task("t-1", progress=1.1), "invalid_input"),
        "progress NaN": (lambda: m.update_task("t-1", progress=float("nan")), "invalid_input"),
        "progress text": (lambda: m.update_task("t-1", progress="half"), "invalid_input"),
        "note too long": (lambda: m.update_task("t-1", note="x" * 501), "invalid_input"),
        "status unknown": (lambda: m.update_task_status("t-1", "done"), "invalid_input"),
        "agent status unknown": (lambda: m.store_agent_status("eve", "sleepy"), "invalid_input"),
        "agent ttl zero": (lambda: m.store_agent_status("eve", ttl=0), "invalid_input"),
        "agent ttl negative": (lambda: m.store_agent_status("eve", ttl=-1), "invalid_input"),
        "agent ttl infinite": (lambda: m.store_agent_status("eve", ttl=float("inf")), "invalid_input"),
        "agent tasks a string": (lambda: m.store_agent_status("eve", active_tasks="t-1"), "invalid_input"),
        "agent capability empty": (lambda: m.store_agent_status("eve", capabilities=[""]), "invalid_input"),
        "agent unknown": (lambda: m.get_agent_status("eve"), "not_found"),
        "agents of unknown status": (lambda: m.list_agents(status="sleepy"), "invalid_input"),
        "agents limit negative": (lambda: m.list_agents(limit=-1), "invalid_input"),
        "workflow unknown": (lambda: m.get_workflow("w-1"), "not_found"),
        "workflow type empty": (lambda: m.create_workflow(""), "invalid_input"),
        "workflow progress over one": (lambda: m.update_workflow("w-1", progress=1.5), "invalid_input"),
        "workflow progress negative": (lambda: m.update_workflow("w-1", progress=-1), "invalid_input"),
        "workflow update unknown": (lambda: m.update_workflow("w-1", progress=0.5), "not_found"),
        "workflow complete unknown": (lambda: m.complete_workflow("w-1"), "not_found"),
        "workflow fail with a number": (lambda: m.fail_workflow("w-1", 5), "invalid_input"),
        "workflows of unknown status": (lambda: m.list_workflows(status="done"), "invalid_input"),
        "workflows limit zero": (lambda: m.list_workflows(limit=0), "invalid_input"),
        "channel empty": (lambda: m.publish_event(""), "invalid_id"),
        "channel a path": (lambda: m.publish_event("../x"), "invalid_id"),
        "channel a number": (lambda: m.publish_event(5), "invalid_input"),
        "event type of two lines": (lambda: m.publish_event("c", type="a\nb"), "invalid_input"),
        "event type empty": (lambda: m.publish_event("c", type=""), "invalid_input"),
        "events of an empty type": (lambda: m.publish_events("c", [{}], type=""), "invalid_input"),
        "unsubscribe from a list": (lambda: m.unsubscribe_events(["c"]), "invalid_input"),
        "event type a number": (lambda: m.publish_event("c", type=5), "invalid_input"),
        "event names a wrong type": (lambda: m.publish_event("c", {"event": {"a": 1}}), "invalid_input"),
        "channels a string": (lambda: m.read_events("c"), "invalid_input"),
        "channels a path": (lambda: m.read_events(["../x"]), "invalid_id"),
        "channels too many": (lambda: m.read_events(["c"] * 101), "invalid_input"),
        "events limit zero": (lambda: m.read_events(limit=0), "invalid_input"),
        "events limit text": (lambda: m.read_events(limit="5"), "invalid_input"),
        "events wait negative": (lambda: m.read_events(wait_seconds=-1), "invalid_input"),
        "events wait text": (lambda: m.read_events(wait_seconds="5"), "invalid_input"),
        "events wait NaN": (lambda: m.read_events(wait_seconds=float("nan")), "invalid_input"),
        "latest limit negative": (lambda: m.latest_events(limit=-1), "invalid_input"),
        "subscribe to a path": (lambda: m.subscribe_events("../x", m.backend.aclose), "invalid_id"),
        "subscribe without async": (lambda: m.subscribe_events("c", print), "invalid_input"),
        "subscribe partly without async": (lambda: m.subscribe_events("c", partial(print, "x")), "invalid_input"),
        "subscribe with a number": (lambda: m.subscribe_events("c", 5), "invalid_input"),
    }


def sized(size: int) -> dict[str, Any]:
    """An object of exactly this many bytes as JSON."""
    return {"é": "x" * (size - len('{"é":""}'.encode()))}


class RefusalContract(Contract):
    @pytest.mark.parametrize("case", wrong_calls(None))
    async def test_a_wrong_call_is_refused_with_its_code(self, m: Mycelium, case: str) -> None:
        await m.see()
        call, code = wrong_calls(m)[case]
        async with refuses(m, code):
            await call()

    @pytest.mark.parametrize("token", [True, "3", 3.0, 1.5, b"4", [3]])
    async def test_a_token_that_is_no_whole_number_is_refused_everywhere(self, m: Mycelium, token: Any) -> None:
        task = await claimed(m, (await m.create_task("x")).id)
        calls: list[Call] = [
            lambda m: m.renew_lease(task.id, lease_token=token),
            lambda m: m.update_task(task.id, progress=0.5, lease_token=token),
            lambda m: m.update_task(task.id, release=True, lease_token=token),
            lambda m: m.complete_task(task.id, lease_token=token),
            lambda m: m.fail_task(task.id, "x", lease_token=token),
            lambda m: m.cancel_task(task.id, lease_token=token),
        ]
        for call in calls:
            async with refuses(m, "invalid_input"):
                await call(m)
        assert (await m.complete_task(task.id)).status == "completed"

    @pytest.mark.parametrize("bad", BAD_IDS)
    async def test_an_id_that_could_be_a_path_is_refused_everywhere(self, m: Mycelium, bad: str) -> None:
        calls: list[Call] = [
            lambda m: m.get_task(bad),
            lambda m: m.get_tasks([bad]),
            lambda m: m.claim_task(bad),
            lambda m: m.update_task(bad, progress=0.5),
            lambda m: m.complete_task(bad),
            lambda m: m.fail_task(bad, "x"),
            lambda m: m.cancel_task(bad),
            lambda m: m.renew_lease(bad),
            lambda m: m.waiting_on(bad),
            lambda m: m.create_task("x", depends_on=[bad]),
            lambda m: m.create_task("x", assigned_to=bad),
            lambda m: m.store_agent_status(bad),
            lambda m: m.get_agent_status(bad),
            lambda m: m.remove_agent_status(bad),
            lambda m: m.leave(bad),
            lambda m: m.get_tasks_for_agent(bad),
            lambda m: m.get_workflow(bad),
            lambda m: m.update_workflow(bad, progress=0.5),
            lambda m: m.complete_workflow(bad),
            lambda m: m.fail_workflow(bad, "x"),
        ]
        if bad != "a:b":
            more: list[Call] = [lambda m: m.publish_event(bad), lambda m: m.read_events([bad])]
            calls += more
        for call in calls:
            async with refuses(m, "invalid_id"):
                await call(m)

    @pytest.mark.parametrize("good", GOOD_IDS)
    async def test_ids_with_dots_and_dashes_are_names_like_others(self, m: Mycelium, good: str) -> None:
        await m.store_agent_status(good)
        assert (await m.get_agent_status(good)).name == good
        task = await m.create_task("x", assigned_to=good)
        assert (await m.list_tasks(assigned_to=good)).records == [task]
        assert (await m.publish_event(good)).channel == good
        async with refuses(m, "not_found"):
            await m.get_task(good)

    async def test_agents_whose_names_differ_in_case_are_two(self, m: Mycelium) -> None:
        await m.store_agent_status("Ada", "busy")
        await m.store_agent_status("ada", "idle")
        assert (await m.get_agent_status("Ada")).status == "busy"
        assert len((await m.list_agents()).records) == 2

    @pytest.mark.parametrize("case", NOT_JSON)
    async def test_what_is_not_a_json_object_is_refused_everywhere(self, m: Mycelium, case: str) -> None:
        bad = NOT_JSON[case]
        task = await claimed(m, (await m.create_task("x")).id)
        workflow = await m.create_workflow("w")
        calls: list[Call] = [
            lambda m: m.create_task("x", payload=bad),
            lambda m: m.create_workflow("w", [{"name": "a", "payload": bad}]),
            lambda m: m.create_workflow("w", metadata=bad),
            lambda m: m.store_agent_status(metadata=bad),
            lambda m: m.publish_event("c", bad),
            lambda m: m.complete_task(task.id, bad),
            lambda m: m.complete_workflow(workflow.id, bad),
        ]
        if not isinstance(bad, str):
            more: list[Call] = [lambda m: m.fail_task(task.id, bad), lambda m: m.fail_workflow(workflow.id, bad)]
            calls += more
        for call in calls:
            async with refuses(m, "invalid_input"):
                await call(m)
        assert (await m.complete_task(task.id, {"fine": True})).status == "completed"

    async def test_an_object_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(self, m: Mycelium) -> None:
        fits, over = sized(MAX_JSON_BYTES), sized(MAX_JSON_BYTES + 1)
        task = await claimed(m, (await m.create_task("x", payload=fits)).id)
        workflow = await m.create_workflow("w", metadata=fits)
        calls: list[Call] = [
            lambda m: m.create_task("x", payload=over),
            lambda m: m.create_workflow("w", [{"name": "a", "payload": over}]),
            lambda m: m.store_agent_status(metadata=over),
            lambda m: m.publish_event("c", over),
            lambda m: m.complete_task(task.id, over),
            lambda m: m.fail_task(task.id, over),
            lambda m: m.fail_task(task.id, "x" * MAX_JSON_BYTES),
            lambda m: m.complete_workflow(workflow.id, over),
        ]
        for call in calls:
            async with refuses(m, "too_large") as caught:
                await call(m)
            assert str(MAX_JSON_BYTES) in str(caught.value)
        await m.complete_task(task.id, fits)
        found = await m.get_task(task.id)
        assert found.payload == found.result == fits
        assert (await m.publish_event("c", fits)).data == (await m.latest_events(["c"])).events[0].data == fits

    @pytest.mark.parametrize("zone", [timedelta(0), timedelta(hours=14), timedelta(hours=-12)])
    async def test_times_far_away_are_taken_or_refused_but_never_break_the_housekeeping(
        self, m: Mycelium, zone: timedelta
    ) -> None:
        there = timezone(zone)
        for at in (datetime(1900, 1, 2, tzinfo=there), datetime(9989, 12, 1, tzinfo=there)):
            await m.create_task("x", not_before=at)
        for beyond in (datetime.min.replace(tzinfo=there), datetime.max.replace(tzinfo=there)):
            async with refuses(m, "invalid_input"):
                await m.create_task("x", not_before=beyond)
        assert await m.housekeep() == 0
        due = await m.backend.due(10)
        assert due.next_at is not None
        assert [task.not_before for task in (await m.list_tasks()).records] == [
            datetime(9989, 12, 1, tzinfo=there),
            None,
        ]
        assert {task.not_before.tzinfo for task in (await m.list_tasks()).records if task.not_before} == {UTC}

    async def test_an_error_names_every_wrong_field(self, m: Mycelium) -> None:
        async with refuses(m, "invalid_input") as caught:
            await m.create_task("", title="x" * 501, max_attempts=-1)
        assert caught.value.data["fields"] == ["max_attempts", "title", "type"]

    async def test_an_error_stays_short_however_long_the_input(self, m: Mycelium) -> None:
        long: Any = {f"key-{n}-{'x' * 1000}": b"" for n in range(1000)}
        async with refuses(m, "invalid_input") as caught:
            await m.create_task("x", payload=long)
        assert len(str(caught.value.as_dict())) < 10_000
