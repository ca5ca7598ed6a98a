"""The relay: what the log tells comes out at the exchange, at least once and in order, whoever relays."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from mycelium.models import Keeper
from mycelium_messaging import relay, reminder
from mycelium_messaging.connection import open_broker
from mycelium_messaging.exchange import BrokerExchange
from mycelium_messaging.names import (
    AGENT_COORDINATION,
    AGENT_RESPONSES,
    AGENT_TASKS,
    DEAD_LETTERS,
    SYSTEM_EVENTS,
    USER_NOTIFICATIONS,
)
from mycelium_messaging.relay import Relay
from tests.network.reading import Reader
from tests.support.rabbitmq import Names
from tests.support.redis import free_port

PATIENCE = 30.0
"""Seconds: a bound for a broken build, never reached otherwise."""


@asynccontextmanager
async def relaying(url: str, corner: Names, agent: str = "relay") -> AsyncGenerator[Mycelium]:
    """A client whose process relays, once it does."""
    async with (
        Mycelium.open(url, agent=agent) as m,
        open_broker(corner.settings(), name=agent) as broker,
        anyio.create_task_group() as tasks,
    ):
        await broker.wait_connected()
        tasks.start_soon(Relay(m, BrokerExchange(broker)).run)
        try:
            yield m
        finally:
            tasks.cancel_scope.cancel()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'team.db'}"


@pytest.fixture
def reader(corner: Names) -> Reader:
    return Reader(corner)


async def test_a_task_is_announced_when_it_is_ready_and_answered_when_it_is_done(
    url: str, corner: Names, reader: Reader
) -> None:
    async with relaying(url, corner) as m:
        first = await m.create_task("scan", title="One", payload={"file": "ä.py"}, priority="high")
        second = await m.create_task("scan", depends_on=[first.id])
        message = await reader.one(AGENT_TASKS)
        envelope = message.json
        assert envelope["payload"] == {
            "file": "ä.py", "task_id": first.id, "type": "scan", "title": "One", "priority": "high",
        }  # fmt: skip
        assert (envelope["routing_key"], envelope["source"]) == ("task.created", "mycelium")
        assert envelope["id"] == message.message_id
        await m.claim_task(first.id)
        await m.complete_task(first.id, {"found": 3})
        answer = (await reader.one(AGENT_RESPONSES)).json
        assert answer["timestamp"].endswith("Z")
        del answer["timestamp"]
        assert answer == {
            "task_id": first.id, "type": "scan_result", "status": "completed", "found": 3,
            "response": [{"type": "text", "text": '{"found": 3}'}],
        }  # fmt: skip
        assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == second.id
        await m.cancel_task(second.id, reason="no longer wanted")
        called_off = await reader.one(AGENT_RESPONSES)
        assert (called_off.routing_key, called_off.json["status"]) == ("task.failed", "cancelled")


async def test_what_was_ready_before_anybody_relayed_is_announced_and_nothing_else(
    url: str, corner: Names, reader: Reader
) -> None:
    async with Mycelium.open(url, agent="ada") as m:
        await m.create_task("old")
        await m.claim_task()
        await m.create_task("later", max_attempts=2)
        blocked = await m.create_task("blocked", depends_on=[(await m.list_tasks()).records[-1].id])
        ready = await m.create_task("ready")
        await m.claim_task(types=["later"])
        async with relaying(url, corner):
            assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == ready.id
            await m.complete_task((await m.list_tasks(search="old")).records[0].id)
            assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == blocked.id


async def test_a_task_that_failed_for_good_is_parked_with_its_history(url: str, corner: Names, reader: Reader) -> None:
    async with relaying(url, corner) as m:
        task = await m.create_task("poison", max_attempts=2, retry_backoff=0)
        for number in (1, 2):
            await m.claim_task(task.id)
            await m.fail_task(task.id, {"error": f"broken {number}", "code": "crashed"})
        letter = await reader.one(DEAD_LETTERS)
        assert letter.headers["x-mycelium-reason"] == "task_failed"
        assert letter.headers["x-mycelium-task"] == task.id
        history = json.loads(letter.headers["x-mycelium-history"])
        assert [each["type"] for each in history] == [
            "task.created", "task.started", "task.retrying", "task.started", "task.failed",
        ]  # fmt: skip
        assert "broken 1" in history[2]["error"]
        answer = (await reader.one(AGENT_RESPONSES)).json
        assert (answer["status"], answer["error"]["error"]) == ("failed", "broken 2")


async def test_people_and_everybody_are_told(url: str, corner: Names, reader: Reader) -> None:
    async with relaying(url, corner) as m:
        await m.notify_user("grace", "The report is there.", title="Done")
        told = (await reader.one(USER_NOTIFICATIONS)).json
        assert (told["routing_key"], told["payload"]["user"]) == ("user.notification", "grace")
        await m.publish_event("system:events", {"disk": 1}, type="system.alert")
        await m.store_agent_status("bob", "error")
        found = [await reader.one(SYSTEM_EVENTS) for _ in range(2)]
        seen = {(each.routing_key, each.json["payload"].get("agent")) for each in found}
        assert seen >= {("system.alert", None)} or ("system.agent_status", "bob") in seen


async def test_a_coordinated_workflow_is_reported_with_all_its_results(url: str, corner: Names, reader: Reader) -> None:
    async with relaying(url, corner) as m:
        tasks: list[dict[str, Any]] = [
            {"name": name, "payload": {"task_id": name, "coordination_id": "c-1", "prompt": "Look."}}
            for name in ("one", "two")
        ]
        await m.create_workflow("parallel_execution", tasks, mode="parallel", metadata={"coordination_id": "c-1"})
        while (task := await m.claim_task()) is not None:
            await m.complete_task(task.id, {"response": [{"type": "text", "text": task.type}]})
        reports = [(await reader.one(AGENT_COORDINATION)).json["payload"] for _ in range(6)]
        assert [each["status"] for each in reports if each["type"] == "coordination_status"] == [
            "accepted",
            "completed",
        ]
        states = [(each["task_id"], each["status"]) for each in reports if each["type"] == "task_status"]
        assert states == [("one", "started"), ("one", "completed"), ("two", "started"), ("two", "completed")]
        assert [each["response"][0]["text"] for each in reports[-1]["results"]] == ["one", "two"]
        answers = [(await reader.one(AGENT_RESPONSES)).json for _ in range(2)]
        assert {(each["task_id"], each["coordination_id"]) for each in answers} == {("one", "c-1"), ("two", "c-1")}


async def test_another_relays_when_the_first_is_gone_and_nothing_is_missing(
    url: str, corner: Names, reader: Reader
) -> None:
    async with Mycelium.open(url, agent="ada") as m:
        ids: list[str] = []
        async with relaying(url, corner, "first"):
            ids += [(await m.create_task("x")).id for _ in range(20)]
            found = [(await reader.one(AGENT_TASKS)).json["payload"]["task_id"] for _ in range(20)]
        ids += [(await m.create_task("x")).id for _ in range(20)]  # while nobody relays
        async with relaying(url, corner, "second"):
            found += [(await reader.one(AGENT_TASKS)).json["payload"]["task_id"] for _ in range(20)]
        assert found == ids


async def test_a_full_queue_holds_up_its_own_lane_alone_and_gets_each_message_once(
    url: str, corner: Names, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "REST", 0.2)
    small = corner.settings(max_length=5, queue_type="classic")
    async with Mycelium.open(url, agent="ada") as m, open_broker(small, name="ada") as broker:
        await broker.wait_connected()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Relay(m, BrokerExchange(broker)).run)
            for number in range(40):
                await m.notify_user("grace", f"{number}")
            task = await m.create_task("x")
            assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == task.id
            told = [(await reader.one(USER_NOTIFICATIONS)).json["payload"]["message"] for _ in range(40)]
            assert sorted(told, key=int) == [str(number) for number in range(40)]
            tasks.cancel_scope.cancel()


async def test_what_is_told_before_the_first_contact_with_a_broker_goes_out_then(
    url: str, corner: Names, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = corner.settings(port=free_port(), connection_timeout_seconds=1)
    task_id = ""
    async with (
        Mycelium.open(url, agent="ada") as m,
        open_broker(nobody, name="ada") as broker,
        anyio.create_task_group() as tasks,
    ):
        task_id = (await m.create_task("x")).id
        tasks.start_soon(Relay(m, BrokerExchange(broker)).run)
        await has_begun(m)
        await m.claim_task(task_id)
        await m.complete_task(task_id)
        tasks.cancel_scope.cancel()
    monkeypatch.setattr(relay, "LEAD", timedelta(0))
    async with relaying(url, corner):
        assert (await reader.one(AGENT_RESPONSES)).json["task_id"] == task_id


async def test_tasks_from_long_before_are_announced_once_though_the_first_that_relayed_never_reached_the_broker(
    url: str, corner: Names, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LEAD", timedelta(0))
    nobody = corner.settings(port=free_port(), connection_timeout_seconds=1)
    async with Mycelium.open(url, agent="ada") as m:
        old = (await m.create_task("old")).id
        async with open_broker(nobody, name="ada") as broker, anyio.create_task_group() as tasks:
            tasks.start_soon(Relay(m, BrokerExchange(broker)).run)
            await has_begun(m)
            tasks.cancel_scope.cancel()
        async with relaying(url, corner):
            assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == old
        async with relaying(url, corner):
            new = (await m.create_task("new")).id
            assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == new


async def has_begun(m: Mycelium) -> None:
    """Return when somebody relays, and has said so."""
    with anyio.fail_after(PATIENCE):
        while not (kept := (await m.backend.get(Keeper, ["relay"]))[0]) or not kept.cursors:  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.02)


async def test_tasks_from_long_before_anybody_relayed_are_announced_page_by_page(
    url: str, corner: Names, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LEAD", timedelta(0))
    monkeypatch.setattr(reminder, "PAGE", 3)
    async with Mycelium.open(url, agent="ada") as m:
        ids = {(await m.create_task("old")).id for _ in range(8)}
        async with relaying(url, corner):
            found = {(await reader.one(AGENT_TASKS)).json["payload"]["task_id"] for _ in range(8)}
        assert found == ids


async def test_a_name_that_amqp_has_no_room_for_is_cut_and_stops_nobody(
    url: str, corner: Names, reader: Reader
) -> None:
    async with relaying(url, corner) as m:
        long = "\u65e5" * 120
        await m.publish_event("system:events", {"disk": 1}, type=long)
        task = await m.create_task(long)
        assert (await reader.one(AGENT_TASKS)).json["payload"]["task_id"] == task.id
        await m.claim_task(task.id)
        await m.complete_task(task.id)
        assert (await reader.one(AGENT_RESPONSES)).json["type"] == f"{long}_result"


async def test_results_that_are_too_much_together_are_left_to_the_single_answers(
    url: str, corner: Names, reader: Reader
) -> None:
    async with relaying(url, corner) as m:
        tasks = [{"name": name, "payload": {"task_id": name, "coordination_id": "c-1"}} for name in ("one", "two")]
        await m.create_workflow("parallel_execution", tasks, mode="parallel", metadata={"coordination_id": "c-1"})
        while (task := await m.claim_task()) is not None:
            await m.complete_task(task.id, {"text": "x" * 700_000})
        reports = [(await reader.one(AGENT_COORDINATION)).json["payload"] for _ in range(6)]
        assert [sorted(each) for each in reports[-1]["results"]] == [["status", "task_id", "timestamp", "type"]] * 2
        assert len((await reader.one(AGENT_RESPONSES)).json["text"]) == 700_000
