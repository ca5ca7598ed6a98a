"""A store that an older Mycelium made is brought up to date when it is opened, and nothing of it is lost."""

import json
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from mycelium import Mycelium
from mycelium.errors import Conflict
from mycelium.models import ClaimRequest, Task
from mycelium.rules import Change, grant
from mycelium_backends.redis import open_backend
from mycelium_backends.redis.place import find_place
from mycelium_backends.redis.scripts import SCHEMA
from tests.support.clock import FakeClock
from tests.support.redis import RedisServer
from tests.support.store import claimed, log, token_of

SCHEMA_1 = Path(__file__).with_name("redis_schema_1.json")
"""All keys of such a store but their senders', without the namespace: type and content, bytes as Latin-1."""


def restore(server: RedisServer, namespace: str) -> None:
    """Put that store there, key by key."""
    with server.plain() as plain:
        for name, (type, content) in json.loads(SCHEMA_1.read_text(encoding="utf-8")).items():
            key = f"{{{namespace}}}:{name}"
            match type:
                case "hash":
                    plain.hset(key, mapping={field: _bytes(value) for field, value in content.items()})
                case "zset":
                    plain.zadd(key, dict(content))
                case "set":
                    plain.sadd(key, *content)
                case "list":
                    plain.rpush(key, *content)
                case _:
                    for at, fields in content:
                        plain.xadd(key, fields, id=at)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


async def test_a_store_of_the_schema_before_works_as_it_stands(redis: RedisServer, clock: FakeClock) -> None:
    restore(redis, "up")
    url = redis.url("up")
    found = {each.subject: each for each in await anyio.to_thread.run_sync(find_place(url).examine)}
    assert (found["schema"].level, found["schema"].says) == ("ok", f"1; whoever opens it next makes it {SCHEMA}")

    backend = await open_backend(url, clock)
    async with Mycelium.over(backend, agent="bob", clock=clock, background=False) as m:
        with redis.plain() as plain:
            assert plain.hget("{up}:store:meta", "schema") == SCHEMA
        tasks = {task.title or task.id: task for task in (await m.list_tasks()).records}
        ids = {title: task.id for title, task in tasks.items()}
        prepare = next(title for title in ids if title.endswith(".prepare"))
        assert list(ids)[2:] == ["blocked", "later", "failed", "running", "reserved", "ready"]
        assert len(await log(m)) == 14

        await backend.commit(lambda view: Change(None, puts=[wanted(clock)]))
        request = ClaimRequest(agent="bob", seconds=60, queues=("llm",))
        laned = await backend.claim(request, lambda view, task: grant(view, task, agent="bob", seconds=60))
        assert laned is not None
        assert laned.result.id == "laned"

        clock.advance(6)  # what was reserved when the old ones went comes back
        assert (await claimed(m)).id == ids["ready"]
        await m.complete_task(ids["ready"])
        assert await backend.waiting_on(ids["blocked"], 10) == [ids["running"]]
        await m.complete_task(ids["running"], lease_token=token_of(tasks["running"]))
        assert (await m.get_task(ids["blocked"])).blocked is False
        assert [(await claimed(m, agent="eve")).id for _ in range(3)] == [
            ids[name] for name in ("blocked", prepare, "reserved")
        ]
        assert (await m.get_stats()).workflows == {"running": 1}
        with pytest.raises(Conflict):
            await m.create_task("other", idempotency_key="once")
    await backend.aclose()


def wanted(clock: FakeClock) -> Task:
    fields: dict[str, Any] = {"id": "laned", "type": "x", "queue": "llm", "created_at": clock(), "updated_at": clock()}
    return Task.model_validate(fields)
