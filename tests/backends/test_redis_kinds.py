"""How Redis keeps lanes, triggers and tasks that are tried again: what the contract does not see."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.backend import Backend
from mycelium.errors import StoreDamaged
from mycelium.models import Agent, ClaimRequest, Keeper, Record, Task, Trigger, lane_fits
from mycelium.rules import Change, View, grant
from mycelium_backends.redis import open_backend
from tests.support.clock import FakeClock
from tests.support.redis import RedisServer
from tests.support.store import claimed

ODD: Sequence[str] = ("a", "a:b", '["a"', "ä", "🍄", 'quo"ted', "back\\slash", ";")
"""Names of queues and capabilities that a key or a pattern could mistake for something else."""


@asynccontextmanager
async def opened(server: RedisServer, namespace: str, clock: FakeClock) -> AsyncGenerator[Backend]:
    backend = await open_backend(server.url(namespace), clock)
    try:
        yield backend
    finally:
        await backend.aclose()


def task(clock: FakeClock, id: str, **fields: object) -> Task:
    return Task.model_validate({"id": id, "type": "x", "created_at": clock(), "updated_at": clock(), **fields})


def trigger(clock: FakeClock, id: str, **fields: object) -> Trigger:
    said: dict[str, Any] = {
        "when": {"event": {}},
        "then": {"task": {"type": "x"}},
        "created_at": clock(),
        "updated_at": clock(),
    }
    return Trigger.model_validate({"id": id, **said, **fields})


def puts(*records: Record) -> Callable[[View], Change[None]]:
    return lambda view: Change(None, puts=records)


async def take(backend: Backend, **wanted: Any) -> Task | None:
    """Claim for ada and give what was claimed back."""
    request = ClaimRequest(agent="ada", seconds=60, **wanted)
    committed = await backend.claim(request, lambda view, task: grant(view, task, agent="ada", seconds=60))
    if committed is None:
        return None
    await backend.commit(puts(committed.result.changed(status="pending", lease=None)))
    return committed.result


async def test_the_server_matches_lanes_as_the_rule_does(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-lanes", clock) as backend:
        await backend.commit(puts(Agent(name="ada", capabilities=tuple(ODD), last_updated=clock())))
        for number, queue in enumerate((None, *ODD)):
            alone = task(clock, f"t-{number}", queue=queue, capabilities=ODD[:number], type=ODD[number % 3])
            await backend.commit(puts(alone))
            requests = product(((), *((name,) for name in ODD)), (frozenset(ODD), frozenset(ODD[: number - 1])))
            for queues, capabilities in requests:
                fits = lane_fits(alone.lane, queues, capabilities)
                for types in ((), (alone.type,), ("y", alone.type)):
                    got = await take(backend, queues=queues, capabilities=capabilities, types=types)
                    assert (got is not None) == fits, (alone.lane, queues, capabilities)
                assert await take(backend, queues=queues, capabilities=capabilities, types=("y",)) is None
            await backend.commit(lambda view, id=alone.id: cancelled(view, id))


def cancelled(view: View, id: str) -> Change[None]:
    found = view.get(Task, id)
    assert found is not None
    return Change(None, puts=[found.changed(status="cancelled")])


@pytest.mark.parametrize("owner", [None, "ada"])
async def test_a_lane_is_known_for_as_long_as_a_task_is_ready_in_it(
    redis: RedisServer, clock: FakeClock, owner: str | None
) -> None:
    namespace = f"k-known-{owner}"
    async with opened(redis, namespace, clock) as backend:
        one, two = (task(clock, id, queue="llm", assigned_to=owner) for id in ("one", "two"))
        await backend.commit(puts(one, two, task(clock, "three", queue="llm", assigned_to="bob")))
        with redis.plain() as plain:
            known = f"{{{namespace}}}:store:lanes"
            assert plain.zrange(known, 0, -1) == sorted([f'{owner or ""}:["llm"]', 'bob:["llm"]'])
            await backend.commit(puts(one.changed(paused=True)))
            assert plain.zcard(known) == 2
            assert plain.lrange(f"{{{namespace}}}:tasks:queue:normal", 0, -1) == ["three", "two"]
            await backend.commit(puts(two.changed(status="cancelled")))
            assert plain.zrange(known, 0, -1) == ['bob:["llm"]']
            assert plain.keys(f"{{{namespace}}}:store:lane:{owner or ''}:*") == []
            await backend.commit(puts(one.changed().changed(paused=False)))
            assert await take(backend, queues=("llm",)) is not None


async def test_a_lane_that_was_given_back_is_there_for_the_next_in_the_same_batch(
    redis: RedisServer, clock: FakeClock
) -> None:
    async with opened(redis, "k-back", clock) as backend:
        await backend.commit(puts(task(clock, "t", queue="llm")))
        within: Any = backend
        send, wanted = within._committer._send_claims, json.loads('["next", "ada", [], [], []]')
        (body,) = await send([wanted])
        assert body is not None
        _, body, nothing = await send([["return", "t", 1], wanted, wanted])
        assert Task.model_validate_json(body).id == "t"
        assert nothing is None


async def test_who_still_waits_on_others_waits_again_for_what_is_tried_again(
    redis: RedisServer, clock: FakeClock
) -> None:
    async with opened(redis, "k-retry", clock) as backend:
        first, other = task(clock, "first"), task(clock, "other")
        both = {"depends_on": ["first", "other"], "blocked": True, "run_when": "all_done"}
        await backend.commit(puts(first, other, task(clock, "before", **both), task(clock, "free", **both)))
        failed = first.changed(status="failed")
        await backend.commit(puts(failed))
        await backend.commit(puts(task(clock, "since", **both)))
        await backend.commit(puts(task(clock, "free", version=2, status="cancelled")))
        for id in ("before", "since"):
            assert await backend.waiting_on(id, 10) == ["other"]

        await backend.commit(puts(failed.changed(status="pending")))
        for id in ("before", "since"):
            assert await backend.waiting_on(id, 10) == ["first", "other"]
        assert await backend.waiting_on("free", 10) == []
        waiters = await backend.commit(lambda view: Change(view.waiters(["first", "other"])))
        assert [{waiter.task_id for waiter in each} for each in waiters.result] == [{"before", "since"}] * 2

        await backend.commit(puts(failed.changed().changed(status="completed"), other.changed(status="completed")))
        free = [task(clock, id, **{**both, "blocked": False}, version=2) for id in ("before", "since")]
        await backend.commit(puts(*free))
        with redis.plain() as plain:
            assert plain.keys("{k-retry}:store:wait*") == []


async def test_a_completion_looks_no_further_than_at_those_that_wait_on_it(
    redis: RedisServer, clock: FakeClock
) -> None:
    layers = [[f"{layer}-{number}" for number in range(10)] for layer in range(4)]
    tasks = [
        {"name": name, "depends_on": below}
        for layer, below in zip(layers, [[], *layers], strict=False)
        for name in layer
    ]
    async with (
        opened(redis, "k-layers", clock) as backend,
        Mycelium.over(backend, agent="ada", clock=clock, background=False) as m,
    ):
        workflow = await m.create_workflow("w", tasks, mode="dag")
        await claimed(m, workflow.tasks[0])
        with redis.plain() as plain:
            before = plain.info("commandstats")["cmdstat_scard"]["calls"]
            await m.complete_task(workflow.tasks[0])
            assert plain.info("commandstats")["cmdstat_scard"]["calls"] == before + 10


async def test_a_trigger_that_was_removed_and_came_back_is_not_taken_for_the_old_one(
    redis: RedisServer, clock: FakeClock
) -> None:
    async with opened(redis, "k-came", clock) as backend, opened(redis, "k-came", clock) as other:
        old = trigger(clock, "t", next_at=clock())
        await backend.commit(puts(old))
        await other.commit(lambda view: Change(None, removes=(old,)))
        assert (await backend.due(10)).records == []
        clock.advance(1)
        await other.commit(puts(trigger(clock, "t", error="new")))
        seen = await backend.commit(lambda view: Change(view.get(Trigger, "t"), puts=[_fired(view)]))
        assert seen.result is not None
        assert seen.result.error == "new"


def _fired(view: View) -> Trigger:
    found = view.get(Trigger, "t")
    assert found is not None
    return found.changed(fired=1)


@pytest.mark.parametrize("name", ["trigger", "trigger:index", "triggers", "triggers:status:active", "keeper", "lanes"])
async def test_a_key_of_another_type_is_named_and_nothing_is_written(
    redis: RedisServer, clock: FakeClock, name: str
) -> None:
    namespace = f"k-{name.replace(':', '.')}"
    async with opened(redis, namespace, clock) as backend:
        with redis.plain() as plain:
            key = f"{{{namespace}}}:store:{name}"
            plain.set(key, "mine")
            everything = (
                trigger(clock, "t"), Keeper(since=clock(), at=clock()),
                task(clock, "plain"), task(clock, "laned", queue="llm"),
            )  # fmt: skip
            with pytest.raises(StoreDamaged) as caught:
                await backend.commit(puts(*everything))
            assert key in caught.value.message
            assert await backend.get(Task, ["plain", "laned"]) == [None, None]
            plain.delete(key)
        await backend.commit(puts(*everything))


async def test_the_queue_of_a_lane_that_is_of_another_type_is_named(redis: RedisServer, clock: FakeClock) -> None:
    async with opened(redis, "k-lane-type", clock) as backend:
        with redis.plain() as plain:
            key = '{k-lane-type}:store:lane::["llm"]:x'
            plain.set(key, "mine")
            with pytest.raises(StoreDamaged) as caught:
                await backend.commit(puts(task(clock, "laned", queue="llm")))
            assert key in caught.value.message
            plain.delete(key)
            await backend.commit(puts(task(clock, "laned", queue="llm")))
            assert plain.zrange(key, 0, -1) == ["laned"]
