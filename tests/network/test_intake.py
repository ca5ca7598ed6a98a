"""What comes in, published by a program that knows nothing of Mycelium: a record in the store, or a dead letter."""

import json
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from mycelium_messaging.connection import Broker, open_broker
from mycelium_messaging.intake import Intake, MessageJob
from mycelium_messaging.names import DEAD_LETTERS, STORE
from mycelium_messaging.outgoing import announcement, store_of
from mycelium_messaging.service import open_source
from mycelium_messaging.source import MessageSource
from tests.network.reading import Reader, publish
from tests.support.rabbitmq import Names

PATIENCE = 30.0
"""Seconds: a bound for a broken build, never reached otherwise."""


def envelope(**fields: Any) -> dict[str, Any]:
    return {"id": "m-1", "routing_key": "task.created", "payload": {"task_id": "task-1", "type": "scan"}, **fields}


@dataclass
class Post:
    """One worker's post."""

    m: Mycelium
    broker: Broker
    intake: Intake
    source: MessageSource

    async def job(self) -> MessageJob | None:
        """What the next message came to."""
        with anyio.fail_after(PATIENCE):
            await self.source.ready()
            return await self.source.take()


@asynccontextmanager
async def post(
    url: str, corner: Names, *, agent: str = "ada", types: Collection[str] | None = None
) -> AsyncGenerator[Post]:
    async with Mycelium.open(url, agent=agent) as m, open_broker(corner.settings(), name=agent) as broker:
        await broker.wait_connected()
        await m.see()
        intake = Intake(m, broker, types=types)
        async with open_source(broker, intake, prefetch=10) as source:
            yield Post(m, broker, intake, source)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'team.db'}"


async def test_a_message_becomes_a_task_that_its_taker_holds(url: str, corner: Names) -> None:
    async with post(url, corner) as p:
        payload = {"task_id": "task-1", "type": "scan", "file": "a.py", "priority": "high", "max_attempts": 3}
        await publish(corner, "task.created", envelope(payload=payload))
        job = await p.job()
        assert job is not None
        task = await p.m.get_task("task-1")
        assert (task.type, task.payload, task.priority, task.max_attempts) == ("scan", payload, "high", 3)
        assert (task.agent, task.status) == ("ada", "running")
        await p.m.complete_task("task-1", {"ok": True})
        await job.settle()
    assert await corner_is_empty(corner)


async def corner_is_empty(corner: Names) -> bool:
    """Whether the queue of tasks has nothing, delivered or not, once nobody consumes."""
    return await Reader(corner).count("agent_tasks") == 0


async def test_a_message_that_comes_twice_is_one_task(url: str, corner: Names) -> None:
    async with post(url, corner) as p:
        for _ in range(2):
            await publish(corner, "task.created", envelope())
        first, second = await p.job(), await p.job()
        assert first is not None
        assert second is None
        await p.m.complete_task("task-1")
        await first.settle()
        await publish(corner, "task.created", envelope())
        assert await p.job() is None
        assert (await p.m.get_task("task-1")).status == "completed"
    assert await corner_is_empty(corner)


async def test_a_message_that_comes_again_when_nobody_could_do_its_task_any_more_is_known(
    url: str, corner: Names
) -> None:
    message = envelope(payload={"task_id": "task-1", "type": "scan", "agent_id": "ada"})
    async with post(url, corner) as p:
        await publish(corner, "task.created", message)
        job = await p.job()
        assert job is not None
        await p.m.complete_task("task-1", {"found": 0})
        await job.settle()
        await p.m.remove_agent_status("ada")
    async with post(url, corner, agent="bob", types=["juggle"]) as p:
        await publish(corner, "task.created", message)
        assert await p.job() is None
        assert not p.intake.buried
    assert await corner_is_empty(corner)


async def test_a_task_of_the_store_that_nobody_here_does_is_no_dead_letter(url: str, corner: Names) -> None:
    async with post(url, corner, types=["juggle"]) as p:
        task = await p.m.create_task("scan")
        (created,) = (await p.m.read_events(["tasks:events"])).events
        await publish(corner, "task.created", announcement(created, task).body, headers={STORE: store_of(created)})
        assert await p.job() is None
        assert not p.intake.buried
        assert (await p.m.get_task(task.id)).status == "pending"
    assert await corner_is_empty(corner)


BAD: list[tuple[str, bytes]] = [
    ("not_json", b"{"),
    ("not_json", b"\xff\xfe"),
    ("not_an_object", b"[1]"),
    ("missing_field", json.dumps({"id": "m-1", "routing_key": "task.created"}).encode()),
    ("missing_field", json.dumps(envelope(payload={"task_id": "task-1"})).encode()),
    ("invalid_field", json.dumps(envelope(payload={"task_id": "no id", "type": "scan"})).encode()),
    ("invalid_field", json.dumps(envelope(payload={"type": "scan", "priority": "urgent"})).encode()),
    ("invalid_field", json.dumps(envelope(payload={"type": "scan", "not_before": "tomorrow"})).encode()),
    ("unknown_routing_key", json.dumps(envelope(routing_key="task.exploded")).encode()),
    ("unknown_agent", json.dumps(envelope(payload={"type": "scan", "agent_id": "nobody"})).encode()),
    ("unknown_type", json.dumps(envelope(payload={"type": "juggle"})).encode()),
    ("unknown_dependency", json.dumps(envelope(payload={"type": "scan", "depends_on": ["none"]})).encode()),
    ("too_large", b" " * 20_000_000),
]


async def test_what_is_no_message_is_a_dead_letter_with_its_reason(url: str, corner: Names) -> None:
    reader = Reader(corner)
    async with post(url, corner, types=["scan"]) as p:
        for reason, body in BAD:
            await publish(corner, "task.created", body, message_id=f"id-{reason}")
            assert await p.job() is None
            letter = await reader.one(DEAD_LETTERS)
            assert (letter.headers["x-mycelium-reason"], letter.body) == (reason, body)
            assert letter.headers["x-mycelium-says"]
            assert letter.message_id == f"id-{reason}"
        assert p.intake.buried.total() == len(BAD)
        assert (await p.m.list_tasks()).records == []
    assert await corner_is_empty(corner)


async def test_another_task_of_the_same_id_is_a_dead_letter(url: str, corner: Names) -> None:
    async with post(url, corner) as p:
        await publish(corner, "task.created", envelope())
        assert await p.job() is not None
        await publish(corner, "task.created", envelope(id="m-2", payload={"task_id": "task-1", "type": "scan", "n": 2}))
        assert await p.job() is None
        letter = await Reader(corner).one(DEAD_LETTERS)
        assert letter.headers["x-mycelium-reason"] == "conflict"


async def test_a_task_for_another_agent_is_left_to_it(url: str, corner: Names) -> None:
    async with post(url, corner) as p, Mycelium.open(url, agent="bob") as bob:
        await bob.store_agent_status(capabilities=["security-analyst"])
        await publish(
            corner, "task.created", envelope(payload={"task_id": "task-1", "type": "scan", "agent_id": "bob"})
        )
        by_skill = {"task_id": "task-2", "type": "scan", "agent_id": "security-analyst"}
        await publish(corner, "task.created", envelope(id="m-2", payload=by_skill))
        assert [await p.job(), await p.job()] == [None, None]
        claimed = [await bob.claim_task(addressed=True) for _ in range(2)]
        assert [task and task.id for task in claimed] == ["task-1", "task-2"]
    assert await corner_is_empty(corner)


async def test_what_only_another_worker_can_do_goes_back_for_it(url: str, corner: Names) -> None:
    async with post(url, corner, types=["scan"]) as p, Mycelium.open(url, agent="bob") as bob:
        await bob.store_agent_status(metadata={"swarm": True, "executors": ["juggle"]})
        await publish(corner, "task.created", envelope(payload={"task_id": "task-1", "type": "juggle"}))
        assert await p.job() is None
        await p.source.drain()
        async with post(url, corner, agent="bob", types=["juggle"]) as other:
            job = await other.job()
            assert job is not None
            assert job.task.agent == "bob"


AWAY: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"metadata": {"executors": ["juggle", "tool"]}}, {}, True),
    ({"metadata": {"executors": ["*"], "swarm": True}}, {}, True),
    ({"metadata": {"executors": ["tool"]}}, {}, False),
    ({}, {}, False),
    ({}, {"agent_id": "bob"}, True),
    ({"capabilities": ["circus"]}, {"agent_id": "circus"}, True),
]


@pytest.mark.parametrize(("bob", "payload", "waits"), AWAY)
async def test_what_an_agent_does_that_is_away_waits_for_it(
    bob: dict[str, Any], payload: dict[str, Any], waits: bool, url: str, corner: Names
) -> None:
    async with post(url, corner, types=["scan"]) as p:
        await p.m.store_agent_status("bob", "offline", **bob)
        await publish(corner, "task.created", envelope(payload={"task_id": "task-1", "type": "juggle", **payload}))
        assert await p.job() is None
        assert [task.status for task in (await p.m.list_tasks()).records] == ["pending"] * waits
        assert p.intake.buried == ({} if waits else {"unknown_type": 1})
    assert await corner_is_empty(corner)


async def test_a_worker_that_came_a_moment_ago_is_known(url: str, corner: Names) -> None:
    async with post(url, corner, types=["scan"]) as p:
        for number in (1, 2):
            await publish(corner, "task.created", envelope(id=f"m-{number}", payload={"type": "juggle"}))
            assert await p.job() is None
            assert p.intake.buried == {"unknown_type": 1}
            await p.m.store_agent_status("bob", metadata={"executors": ["juggle"]})
        assert [task.id for task in (await p.m.list_tasks()).records] == ["m-2"]


async def test_a_task_waits_for_its_time(url: str, corner: Names) -> None:
    async with post(url, corner) as p:
        payload = {"task_id": "task-1", "type": "scan", "not_before": "2099-01-01T01:00:00+01:00"}
        await publish(corner, "task.created", envelope(payload=payload))
        assert await p.job() is None
        task = await p.m.get_task("task-1")
        assert (task.status, task.not_before) == ("pending", datetime(2099, 1, 1, tzinfo=UTC))
    assert await corner_is_empty(corner)


async def test_a_request_to_several_becomes_a_workflow_of_theirs(url: str, corner: Names) -> None:
    async with post(url, corner) as p, Mycelium.open(url, agent="bob") as bob:
        await bob.store_agent_status(capabilities=["tester"])
        request = {
            "coordination_id": "coord-1", "type": "sequential_execution", "agents": ["bob", "tester"],
            "tasks": [{"id": "one", "prompt": "Look."}, {"id": "two", "prompt": "Test.", "type": "test"}],
        }  # fmt: skip
        await publish(corner, "agent.coordination", envelope(routing_key="agent.coordination", payload=request))
        first, second = await until_tasks(p.m, 2)
        assert (first.id, first.type, first.assigned_to) == ("coord-1.one", "prompt", "bob")
        assert first.payload == {"prompt": "Look.", "coordination_id": "coord-1", "task_id": "one"}
        assert (second.type, second.capabilities, second.depends_on) == ("test", ("tester",), ("coord-1.one",))
        await bob.claim_task(first.id)
        await bob.complete_task(first.id, {"found": 1})
        assert (await p.m.get_task(second.id)).payload["previous"] == {"found": 1}


async def test_the_same_request_again_is_not_refused_since_somebody_has_gone(url: str, corner: Names) -> None:
    request = {"coordination_id": "coord-1", "type": "parallel_execution", "agents": ["bob"], "tasks": [{"id": "one"}]}
    message = envelope(
        routing_key="agent.coordination", payload={**request, "tasks": [{"id": "one", "prompt": "Look."}]}
    )
    async with post(url, corner) as p:
        await p.m.store_agent_status("bob")
        await publish(corner, "agent.coordination", message)
        await until_tasks(p.m, 1)
        await p.m.remove_agent_status("bob")
    other = envelope(
        id="m-2", routing_key="agent.coordination", payload={**message["payload"], "coordination_id": "c-2"}
    )
    async with post(url, corner, agent="eve") as p:
        await publish(corner, "agent.coordination", message)
        await publish(corner, "agent.coordination", other)
        assert (await Reader(corner).one(DEAD_LETTERS)).json["id"] == "m-2"
        told = (await p.m.read_events(["workflows:events"])).events
        refused = [event.data["coordination_id"] for event in told if event.type == "coordination.rejected"]
        assert refused == ["c-2"]


async def until_tasks(m: Mycelium, count: int) -> list[Any]:
    """The tasks of the store, the oldest first, when there are so many."""
    with anyio.fail_after(PATIENCE):
        async for _ in m.follow_events(["tasks:events"], after=0):
            tasks = (await m.list_tasks()).records
            if len(tasks) >= count:
                return tasks[::-1]
    raise AssertionError("the log has no end")


async def test_a_conditional_request_waits_for_what_it_names(url: str, corner: Names) -> None:
    async with post(url, corner) as p:
        request: dict[str, Any] = {
            "coordination_id": "coord-1", "type": "conditional_execution",
            "when": {"agent": {"agent": "bob", "status": "error"}},
            "tasks": [
                {"id": "look", "prompt": "What is wrong?"},
                {"id": "mend", "prompt": "Mend it.", "depends_on": ["look"],
                 "condition": {"path": "look.result.broken", "op": "==", "value": True}},
            ],
        }  # fmt: skip
        await publish(corner, "agent.coordination", envelope(routing_key="agent.coordination", payload=request))
        with anyio.fail_after(PATIENCE):
            while not (await p.m.list_triggers()).records:  # noqa: ASYNC110 - no event tells of new triggers to others
                await anyio.sleep(0.02)
        await p.m.store_agent_status("bob", "error")
        look, mend = await until_tasks(p.m, 2)
        await p.m.claim_task(look.id)
        await p.m.complete_task(look.id, {"broken": False})
        assert (await p.m.get_task(mend.id)).status == "skipped"
        assert (await p.m.get_trigger("coord-1")).status == "done"


async def test_an_unknown_kind_of_request_is_a_dead_letter(url: str, corner: Names) -> None:
    async with post(url, corner):
        request = {"coordination_id": "coord-1", "type": "telepathy", "tasks": [{"id": "one"}]}
        await publish(corner, "agent.coordination", envelope(routing_key="agent.coordination", payload=request))
        letter = await Reader(corner).one(DEAD_LETTERS)
        assert letter.headers["x-mycelium-reason"] == "unknown_type"


async def test_a_request_with_a_type_that_nobody_does_is_a_dead_letter(url: str, corner: Names) -> None:
    async with post(url, corner, types=["scan"]) as p:
        await p.m.store_agent_status("bob", metadata={"executors": ["prompt"]})
        tasks = [{"id": "one", "type": "scan"}, {"id": "two", "prompt": "Look."}, {"id": "three", "type": "juggle"}]
        for number in (2, 3):
            request = {"coordination_id": f"c-{number}", "type": "parallel_execution", "tasks": tasks[:number]}
            message = envelope(id=f"m-{number}", routing_key="agent.coordination", payload=request)
            await publish(corner, "agent.coordination", message)
        letter = await Reader(corner).one(DEAD_LETTERS)
        assert letter.headers["x-mycelium-reason"] == "unknown_type"
        assert "juggle" in letter.headers["x-mycelium-says"]
        assert {task.id for task in (await p.m.list_tasks()).records} == {"c-2.one", "c-2.two"}


async def test_a_system_event_is_in_everybodys_log_once_and_sets_triggers_off(url: str, corner: Names) -> None:
    async with post(url, corner) as p:
        await p.m.create_trigger(
            {"event": {"channel": "system:events", "type": "system.alert"}},
            {"task": {"type": "mend", "payload": {"disk": {"$from": "cause.data.disk"}}}},
        )
        for _ in range(2):
            message = envelope(routing_key="system.alert", payload={"disk": 97}, source="monitor")
            await publish(corner, "system.alert", message)
        (task,) = await until_tasks(p.m, 1)
        assert (task.type, task.payload) == ("mend", {"disk": 97})
        await publish(corner, "system.alert", envelope(id="m-2", routing_key="system.alert", payload={"disk": 98}))
        await until_tasks(p.m, 2)
        events = (await p.m.read_events(["system:events"])).events
        assert [event.data for event in events] == [
            {"disk": 97, "by_message": "m-1", "from": "monitor"}, {"disk": 98, "by_message": "m-2"},
        ]  # fmt: skip
