"""What stands in Redis: others can read the documented part, and nothing of others is harmed."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from mycelium import Mycelium
from mycelium.errors import SchemaTooNew, StoreDamaged
from mycelium_backends.redis import open_backend
from tests.support.clock import FakeClock
from tests.support.redis import RedisServer
from tests.support.store import PATIENCE, claimed, log


@asynccontextmanager
async def opened(server: RedisServer, namespace: str, clock: FakeClock, agent: str = "ada") -> AsyncGenerator[Mycelium]:
    """A client of the store in this namespace, which leaves time to the test."""
    backend = await open_backend(server.url(namespace), clock)
    try:
        async with Mycelium.over(backend, agent=agent, clock=clock, background=False) as client:
            yield client
    finally:
        await backend.aclose()


async def test_a_plain_client_reads_the_status_of_agents(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-agents", clock) as m:
        await m.store_agent_status(status="busy", active_tasks=["train"], metadata={"gpu": 1}, ttl=250)
        with redis.plain() as plain:
            key = "{k-agents}:agents:status:ada"
            assert plain.hgetall(key) == {
                "status": "busy",
                "last_updated": "2030-01-01T00:00:00Z",
                "active_tasks": '["train"]',
                "metadata": '{"gpu":1}',
            }
            assert 200 < plain.ttl(key) <= 250
            await m.remove_agent_status()
            assert not plain.exists(key)


async def test_a_plain_client_reads_the_queues_oldest_at_the_tail(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-queues", clock) as m:
        low = (await m.create_task("x", priority="low")).id
        first, second, third = [(await m.create_task("x", priority="high")).id for _ in range(3)]
        await m.create_task("x", priority="high", depends_on=[third])
        with redis.plain() as plain:
            key = "{k-queues}:tasks:queue:"
            assert plain.lrange(f"{key}high", 0, -1) == [third, second, first]
            assert plain.lrange(f"{key}low", 0, -1) == [low]
            assert plain.llen(f"{key}critical") == 0
            taken = await claimed(m)
            assert taken.id == first
            assert plain.lrange(f"{key}high", 0, -1) == [third, second]
            await m.update_task(first, release=True)
            assert plain.lrange(f"{key}high", 0, -1) == [third, second, first]


async def test_a_plain_client_reads_how_a_workflow_stands(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-flows", clock) as m:
        workflow = await m.create_workflow("train", ["prepare", "learn"])
        with redis.plain() as plain:
            key = f"{{k-flows}}:workflows:{workflow.id}"
            assert plain.hgetall(key) == {"status": "running", "progress": "0"}
            await claimed(m)
            await m.complete_task(workflow.tasks[0])
            assert plain.hgetall(key) == {"status": "running", "progress": "0.5"}
            assert 3500 < plain.ttl(key) <= 3600
            await claimed(m)
            await m.fail_task(workflow.tasks[1], "out of memory", retry=False)
            assert plain.hget(key, "status") == "failed"
            by_hand = await m.create_workflow("train")
            await m.update_workflow(by_hand.id, progress=0.25)
            await m.complete_workflow(by_hand.id, {"accuracy": 0.9})
            shown = plain.hgetall(f"{{k-flows}}:workflows:{by_hand.id}")
            assert shown == {"status": "completed", "progress": "1", "result": '{"accuracy":0.9}'}


async def test_a_plain_client_hears_events_and_reads_the_log(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-events", clock) as m:
        with redis.plain() as plain, plain.pubsub(ignore_subscribe_messages=True) as heard:
            heard.subscribe("{k-events}:tasks:events", "{k-events}:training:events")
            while heard.get_message(timeout=PATIENCE) is not None:
                pass
            task = await m.create_task("x")
            event = await m.publish_event("training:events", {"event": "saved", "step": 5})
            messages = []
            while len(messages) < 2:
                message = heard.get_message(timeout=PATIENCE)
                messages += [message] if message else []
            said = [(message["channel"], json.loads(message["data"])) for message in messages]
            assert said[0][0] == "{k-events}:tasks:events"
            assert (said[0][1]["seq"], said[0][1]["type"]) == (1, "task.created")
            assert said[0][1]["data"]["task_id"] == task.id
            assert said[1] == ("{k-events}:training:events", json.loads(event.model_dump_json(exclude_defaults=True)))
            stream = plain.xrange("{k-events}:events")
            assert [at for at, _ in stream] == ["1-0", "2-0"]
            assert [json.loads(fields["event"]) for _, fields in stream] == [each[1] for each in said]


async def test_stores_in_two_namespaces_do_not_see_each_other(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-one", clock) as one, opened(redis, "k-two", clock) as two:
        task = await one.create_task("x")
        assert await two.get_tasks([task.id]) == []
        assert await two.claim_task() is None
        assert await log(two) == [event for event in await log(two) if event.channel == "agents:events"]


@pytest.mark.parametrize(
    "key",
    [
        "store:task", "store:due", "events", "tasks:queue:normal", "store:tasks:status:pending",
        "store:ready:", "store:ready::x", "store:log:tasks:events",
    ],
)  # fmt: skip
async def test_a_key_that_another_program_made_is_named_and_nothing_is_written(
    redis: RedisServer, clock: FakeClock, key: str
) -> None:
    namespace = f"k-type-{key.replace(':', '.')}"
    async with opened(redis, namespace, clock) as m:
        await m.store_agent_status()
        with redis.plain() as plain:
            plain.set(f"{{{namespace}}}:{key}", "mine")
            before = {name: plain.dump(name) for name in plain.keys(f"{{{namespace}}}:*") if ":sender:" not in name}
            with pytest.raises(StoreDamaged) as caught:
                await m.create_task("x")
            assert f"{{{namespace}}}:{key}" in caught.value.message
            after = {name: plain.dump(name) for name in plain.keys(f"{{{namespace}}}:*") if ":sender:" not in name}
            assert after == before
            plain.delete(f"{{{namespace}}}:{key}")
        await m.create_task("x")


async def test_a_visible_key_that_another_program_made_is_left_alone(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-visible", clock) as m:
        with redis.plain() as plain:
            plain.set("{k-visible}:agents:status:eve", "mine")
            with pytest.raises(StoreDamaged):
                await m.store_agent_status("eve")
            assert plain.get("{k-visible}:agents:status:eve") == "mine"
        await m.store_agent_status("ada")


async def test_a_store_of_a_newer_schema_is_refused_before_and_while_it_is_open(
    redis: RedisServer, clock: FakeClock
) -> None:
    async with opened(redis, "k-schema", clock) as m:
        await m.create_task("x")
        with redis.plain() as plain:
            plain.hset("{k-schema}:store:meta", "schema", "99")
            for act in (lambda: m.create_task("y"), m.last_seq, m.claim_task):
                with pytest.raises(SchemaTooNew):
                    await act()
            with pytest.raises(SchemaTooNew):
                await open_backend(redis.url("k-schema"), clock)
            plain.hset("{k-schema}:store:meta", "schema", "1")
        assert len((await m.list_tasks()).records) == 1


async def test_a_task_that_was_picked_and_never_claimed_comes_back(redis: RedisServer, clock: FakeClock) -> None:
    """A claimer that dies between the two steps of a claim leaves a reservation."""
    async with opened(redis, "k-reserved", clock) as m:
        task = await m.create_task("x")
        dying = await open_backend(redis.url("k-reserved"), clock)
        await dying._committer._claims.ask(["next", "eve", []])  # pyright: ignore[reportPrivateUsage] - the first step alone
        await dying.aclose()
        with redis.plain() as plain:
            reserved = "{k-reserved}:store:reserved"
            assert plain.zrange(reserved, 0, -1) == [task.id]
            assert await m.claim_task() is None
            clock.advance(6)
            assert (await claimed(m)).id == task.id
            assert not plain.exists(reserved)
