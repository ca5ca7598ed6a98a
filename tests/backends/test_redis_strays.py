"""What another program has put into a store's namespace is named by the doctor, wherever it lies."""

from uuid import uuid4

import pytest
from anyio import to_thread

from mycelium_backends.redis.place import find_place
from tests.backends.redis_store import opened
from tests.support.redis import RedisServer

OURS = (
    "events", "tasks:queue:normal", "workflows:w-1", "agents:status:ada", "store:meta", "store:task",
    "store:task:index", "store:ready", "store:ready:", "store:ready:ada:x", "store:tasks",
    "store:tasks:status:pending", "store:log:c", "store:waits:t", "store:waiters:t", "store:tasks:held:ada",
    "store:lanes", 'store:lane::["llm"]', "store:trigger", "store:triggers:status:active", "store:keeper",
)  # fmt: skip


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("when", ["new", "used"])
async def test_a_key_of_the_wrong_type_is_named(redis: RedisServer, name: str, when: str) -> None:
    namespace = uuid4().hex
    url = redis.url(namespace)
    if when == "used":
        async with opened(url) as m:
            await m.create_task("x")
            await m.store_agent_status()
    assert [each for each in await to_thread.run_sync(find_place(url).examine) if each.level == "fail"] == []
    key = f"{{{namespace}}}:{name}"
    with redis.plain() as plain:
        plain.delete(key)
        plain.set(key, "mine")
        (fault,) = [each for each in await to_thread.run_sync(find_place(url).examine) if each.level == "fail"]
        assert f"{key} is not a " in fault.says
        assert "namespace" in fault.mend
        plain.delete(*plain.scan_iter(match=f"*{namespace}*"))


async def test_keys_that_are_nobodys_concern_are_passed_over(redis: RedisServer) -> None:
    url = redis.url(namespace := uuid4().hex)
    with redis.plain() as plain:
        plain.set(f"{{{namespace}}}:theirs", "x")
        found = {each.subject: each.level for each in await to_thread.run_sync(find_place(url).examine)}
        plain.delete(f"{{{namespace}}}:theirs")
    assert "fail" not in found.values()
    assert "store" in found
