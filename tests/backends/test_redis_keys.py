"""What stands in Redis: others can read the documented part, and nothing of others is harmed."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from mycelium.errors import BackendUnavailable, SchemaTooNew, StoreDamaged
from mycelium.rules import Change, NewEvent, View
from mycelium_backends.redis import open_backend
from mycelium_backends.redis.describe import Description
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


def publish(view: View) -> Change[None]:
    return Change(None, events=[NewEvent("c", "good", None, {})])


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
            messages: list[dict[str, str]] = []
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
            plain.hset("{k-schema}:store:meta", "schema", "2")
        assert len((await m.list_tasks()).records) == 1


async def test_a_task_that_was_picked_and_never_claimed_comes_back(redis: RedisServer, clock: FakeClock) -> None:
    """A claimer that dies between the two steps of a claim leaves a reservation."""
    async with opened(redis, "k-reserved", clock) as m:
        task = await m.create_task("x")
        dying = await open_backend(redis.url("k-reserved"), clock)
        await dying._committer._claims.ask(["next", "eve", [], [], []])  # pyright: ignore[reportPrivateUsage] - the first step alone
        await dying.aclose()
        with redis.plain() as plain:
            reserved = "{k-reserved}:store:reserved"
            assert plain.zrange(reserved, 0, -1) == [task.id]
            assert await m.claim_task() is None
            clock.advance(6)
            assert (await claimed(m)).id == task.id
            assert not plain.exists(reserved)


async def test_a_change_that_fails_halfway_takes_no_other_with_it(redis: RedisServer, clock: FakeClock) -> None:
    """What no rule of ours asks for: a workflow's name that is no text, which the script meets in the middle."""
    async with opened(redis, "k-halfway", clock) as m:
        backend: Any = await open_backend(redis.url("k-halfway"), clock)
        impossible = Description(
            b'{"seen":[],"waiting":[],"workflows":[{}],"removes":[],"events":[["c",1]],"history":[],"puts":[],"texts":1,'
            b'"writes":true}',
            ['"channel":"c","type":"x","time":"2030-01-01T00:00:00Z"}'],
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend._committer._commits.ask, impossible)
            tasks.start_soon(backend.commit, publish)
        await backend.aclose()
        await m.create_task("x")
        assert (await m.claim_task()) is not None
        assert "good" in [event.type for event in await log(m)]


async def test_a_queue_that_was_taken_away_gives_no_task_twice(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-queue", clock) as m:
        task = await m.create_task("x")
        with redis.plain() as plain:
            queue = "{k-queue}:store:ready::x"
            kept = plain.dump(queue)
            plain.delete(queue)
            plain.set(queue, "mine")
            with pytest.raises(StoreDamaged) as caught:
                await m.claim_task()
            assert queue in caught.value.message
            plain.delete(queue)
            plain.restore(queue, 0, kept)
        assert (await claimed(m, agent="a1")).id == task.id
        assert await m.claim_task(agent="a2") is None


async def test_an_agent_that_was_removed_and_came_back_is_not_taken_for_the_old_one(
    redis: RedisServer, clock: FakeClock
) -> None:
    async with opened(redis, "k-again", clock) as m, opened(redis, "k-again", clock, "bob") as other:
        await m.store_agent_status("eve", "idle", metadata={"old": True})
        clock.advance(1)
        await other.remove_agent_status("eve")
        await other.store_agent_status("eve", "busy", metadata={"new": True})
        clock.advance(1)
        await m.see("eve")
        agent = await m.get_agent_status("eve")
        assert (agent.status, agent.metadata) == ("busy", {"new": True})


async def test_an_export_whose_copy_goes_is_no_short_export(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-copy", clock) as m:
        for _ in range(250):
            await m.create_task("x")

        async def export_while_the_copy_goes() -> None:
            with redis.plain() as plain:
                async for line in m.export():
                    if '"task"' in line:
                        for key in plain.keys("{k-copy}:store:copy:*"):
                            plain.delete(key)

        with pytest.raises(BackendUnavailable):
            await export_while_the_copy_goes()
        assert len([line async for line in m.export()]) == 502


async def test_a_batch_that_arrives_after_it_was_given_up_does_nothing(redis: RedisServer, clock: FakeClock) -> None:
    backend: Any = await open_backend(redis.url("k-late"), clock)
    run, sent = backend._connection.run, list[tuple[Any, ...]]()

    async def listen(*args: Any) -> Any:
        sent.append(args)
        return await run(*args)

    backend._connection.run = listen
    await backend.commit(publish)
    await backend.commit(publish)
    with pytest.raises(StoreDamaged):
        await run(*sent[0])
    assert await backend.last_seq() == 2
    await backend.aclose()


async def test_a_record_that_cannot_be_read_is_named(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-body", clock) as m:
        task = await m.create_task("x")
        good = await m.create_task("x")
        with redis.plain() as plain:
            plain.hset("{k-body}:store:task", task.id, "mine")
        async with opened(redis, "k-body", clock) as other:  # who wrote it remembers what it was
            for act in (lambda: other.get_task(task.id), other.list_tasks, lambda: other.cancel_task(task.id)):
                with pytest.raises(StoreDamaged) as caught:
                    await act()
                assert "mine" in caught.value.message
        assert await m.get_task(good.id) == good


async def test_a_listing_of_large_tasks_comes_in_parts(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-large", clock) as m:
        for number in range(20):
            await m.create_task("x", title=str(number), payload={"text": "x" * 500_000})
        page = await m.list_tasks(limit=15)
        rest = await m.list_tasks(limit=15, cursor=page.cursor)
        assert [task.title for task in page.records + rest.records] == [str(number) for number in range(19, -1, -1)]
