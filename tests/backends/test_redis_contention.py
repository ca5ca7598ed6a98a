"""Others who are always faster: a change is tried again on fresh records, within bounds, and is never half made."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from uuid import uuid4

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from mycelium import Mycelium
from mycelium.errors import Conflict
from mycelium.models import Agent, ClaimRequest, Task
from mycelium.rules import Change, NewEvent, View
from mycelium_backends.redis import committer
from mycelium_backends.redis.committer import TRIES
from tests.backends.redis_store import opened
from tests.support.redis import RedisServer
from tests.support.store import PATIENCE, log, status


class Faster:
    """Another writer, in a thread of its own, who changes an agent's record whenever it is told to."""

    def __init__(self, portal: BlockingPortal, client: Mycelium) -> None:
        self._portal = portal
        self._client = client
        self.times = 0

    def overtake(self) -> None:
        """Change the record, and come back when that is stored."""
        self.times += 1
        self._portal.call(lambda: self._client.store_agent_status("eve", "busy", metadata={"n": self.times}))


@contextmanager
def faster(url: str) -> Generator[Faster]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened(url)) as client:
        yield Faster(portal, client)


def meets(other: Faster, *, times: int) -> Callable[[View], Change[None]]:
    """A rule that reads the record of eve, which is then changed before it can be applied, so many times."""

    def rule(view: View) -> Change[None]:
        eve = view.get(Agent, "eve")
        if eve is None:  # the rule of a change, not of a creation
            return Change(None)
        if other.times < times:
            other.overtake()
        return Change(None, puts=[eve.changed(status="error")], events=[NewEvent("c", "met", None, {"n": other.times})])

    return rule


@pytest.fixture
def _without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    monkeypatch.setattr(committer, "LONGEST_PAUSE", 0.001)


@pytest.fixture
def url(redis: RedisServer) -> str:
    return redis.url(f"faster-{uuid4().hex[:8]}")


@pytest.mark.usefixtures("_without_long_pauses")
async def test_a_change_that_is_always_overtaken_ends_in_a_conflict_with_nothing_of_it_stored(url: str) -> None:
    async with opened(url) as m:
        await m.store_agent_status("eve")
        with faster(url) as other, anyio.fail_after(PATIENCE), pytest.raises(Conflict) as caught:
            await m.backend.commit(meets(other, times=10 * TRIES))
        assert caught.value.hint
        assert TRIES <= other.times <= TRIES + 2
        eve = await m.get_agent_status("eve")
        assert (eve.status, eve.metadata) == ("busy", {"n": other.times})
        assert [event.type for event in await log(m)] == ["agent.status"] * (other.times + 1)


async def test_a_change_that_is_overtaken_many_times_is_made_once(url: str) -> None:
    async with opened(url) as m:
        await m.store_agent_status("eve")
        with faster(url) as other, anyio.fail_after(PATIENCE):
            await m.backend.commit(meets(other, times=TRIES // 4))
        assert (await m.get_agent_status("eve")).status == "error"
        assert [event.data for event in await log(m) if event.type == "met"] == [{"n": TRIES // 4}]


@pytest.mark.usefixtures("_without_long_pauses")
async def test_a_claim_that_is_always_overtaken_ends_in_a_conflict_and_leaves_the_task_ready(url: str) -> None:
    async with opened(url) as m:
        task = await m.create_task("x")
        await m.store_agent_status("eve")
        with faster(url) as other, anyio.fail_after(PATIENCE):
            met = meets(other, times=10 * TRIES)
            with pytest.raises(Conflict):
                await m.backend.claim(ClaimRequest(agent="ada", seconds=9), lambda view, task: granted(view, task, met))
        assert await status(m, task.id) == "ready"


def granted(view: View, task: Task, met: Callable[[View], Change[None]]) -> Change[Task]:
    """A lease that depends on what is always changed."""
    met(view)
    return Change(task, puts=[task.changed(note="granted")])
