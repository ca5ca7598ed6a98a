"""What a task queue demands of everyone who works on it, and that it cannot be got round."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.backend import Backend
from mycelium.errors import InvalidInput, NotClaimable, UnknownBackend
from mycelium.rules import Terms
from mycelium_backends.memory import MemoryBackend
from mycelium_backends.sqlite import open_backend
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed

TERMS = Terms(max_tasks=2, task_timeout_seconds=300)


def queue_url(folder: Path, query: str = "max_tasks=2&task_timeout_seconds=300") -> str:
    return f"taskqueue:///{folder}/store.db?{query}"


@pytest.fixture(params=["memory", "taskqueue"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Backend]:
    """A store on these terms."""
    memory = request.param == "memory"
    backend: Backend = MemoryBackend(clock, TERMS) if memory else await open_backend(queue_url(tmp_path), clock)
    yield backend
    await backend.aclose()


@pytest.fixture
async def m(store: Backend, clock: FakeClock) -> AsyncGenerator[Mycelium]:
    async with Mycelium.over(store, agent="ada", clock=clock, background=False) as client:
        yield client


async def test_an_agent_holds_no_more_tasks_than_the_terms_allow(m: Mycelium) -> None:
    tasks = [await m.create_task("review") for _ in range(3)]
    await claimed(m)
    await claimed(m, tasks[2].id)
    for task_id in (None, tasks[1].id):
        with pytest.raises(NotClaimable, match=r"ada cannot claim .*: it holds 2 tasks") as caught:
            await m.claim_task(task_id)
        assert caught.value.data == {"task_id": tasks[1].id, "agent": "ada", "max_tasks": 2}
    assert (await m.get_task(tasks[1].id)).attempt == 0
    assert (await claimed(m, agent="grace")).id == tasks[1].id


async def test_a_finished_a_failed_and_a_released_task_make_room(m: Mycelium) -> None:
    for _ in range(5):
        await m.create_task("review")
    first, second = await claimed(m), await claimed(m)
    await m.complete_task(first.id)
    third = await claimed(m)
    await m.fail_task(second.id, "broken")
    await claimed(m)
    await m.update_task(third.id, release=True)
    await claimed(m)
    with pytest.raises(NotClaimable):
        await m.claim_task()


async def test_where_nothing_is_ready_an_agent_with_full_hands_is_told_so(m: Mycelium) -> None:
    for _ in range(2):
        await m.create_task("review")
        await claimed(m)
    assert await m.claim_task() is None


@pytest.mark.parametrize("named", [False, True])
async def test_leases_that_ran_out_unnoticed_do_not_count(m: Mycelium, clock: FakeClock, named: bool) -> None:
    tasks = [await m.create_task("review") for _ in range(3)]
    for task in tasks[:2]:
        await claimed(m, task.id, seconds=10)
    clock.advance(11)
    assert (await claimed(m, tasks[2].id if named else None)).agent == "ada"


async def test_a_task_that_names_no_timeout_gets_that_of_the_terms(m: Mycelium) -> None:
    plain, own = await m.create_task("review"), await m.create_task("review", timeout_seconds=7)
    workflow = await m.create_workflow("release", [{"name": "build"}, {"name": "ship", "timeout_seconds": 9}])
    inner = await m.get_tasks(workflow.tasks)
    assert [task.timeout_seconds for task in (plain, own, *inner)] == [300, 7, 300, 9]


async def test_that_timeout_ends_an_attempt(m: Mycelium, clock: FakeClock) -> None:
    task = await m.create_task("review")
    await claimed(m, seconds=1000)
    clock.advance(301)
    await m.housekeep()
    assert (await m.get_task(task.id)).status == "failed"


async def test_sending_a_creation_again_makes_the_same_task(m: Mycelium) -> None:
    once = await m.create_task("review", idempotency_key="one")
    assert await m.create_task("review", idempotency_key="one") == once
    assert await m.create_task("review", idempotency_key="one", timeout_seconds=300) == once


async def test_it_says_what_it_is_and_opens_again_by_its_url(tmp_path: Path, clock: FakeClock) -> None:
    first = await open_backend(queue_url(tmp_path, "max_tasks=1"), clock)
    again = await open_backend(first.url, clock)
    query = "poll_interval_ms=1000&max_tasks=1&task_timeout_seconds=300.0"
    assert (again.url, again.mode, (await again.stats()).mode) == (queue_url(tmp_path, query), "taskqueue", "taskqueue")
    for each in (first, again):
        await each.aclose()


async def test_a_path_with_a_question_mark_is_written_with_a_percent_sign(tmp_path: Path, clock: FakeClock) -> None:
    store = await open_backend(f"taskqueue:///{tmp_path}/50%25%20%3F.db?max_tasks=1", clock)
    assert store.path == tmp_path / "50% ?.db"
    assert store.url.startswith(f"taskqueue:///{tmp_path}/50%25%20%3F.db?")
    await store.aclose()


async def test_many_claims_at_once_through_two_openings_stay_within_the_terms(tmp_path: Path, clock: FakeClock) -> None:
    async with AsyncExitStack() as stack:
        clients: list[Mycelium] = []
        for _ in range(2):
            backend = await open_backend(queue_url(tmp_path, "max_tasks=5"), clock)
            stack.push_async_callback(backend.aclose)
            over = Mycelium.over(backend, agent="ada", clock=clock, background=False)
            clients.append(await stack.enter_async_context(over))
        for _ in range(40):
            await clients[0].create_task("review")
        refused: list[NotClaimable] = []

        async def claim(client: Mycelium) -> None:
            try:
                await client.claim_task()
            except NotClaimable as refusal:
                refused.append(refusal)

        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(claim, clients[number % 2])
        assert len(refused) == 35
        assert len((await clients[0].list_tasks(held_by="ada", limit=100)).records) == 5


@pytest.mark.parametrize(
    "query",
    [
        "max_tasks=0",
        "max_tasks=many",
        "poll_interval_ms=1",
        "task_timeout_seconds=0",
        "task_timeout_seconds=nan",
        "x=1",
    ],
)
async def test_terms_that_cannot_be_are_refused_by_name_before_anything_is_made(
    tmp_path: Path, clock: FakeClock, query: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await open_backend(queue_url(tmp_path, query), clock)
    assert caught.value.data["fields"] == [query.partition("=")[0]]
    assert not list(tmp_path.iterdir())


async def test_a_url_without_a_file_is_refused(clock: FakeClock) -> None:
    with pytest.raises(UnknownBackend):
        await open_backend("taskqueue:///?max_tasks=1", clock)


def write_without_mycelium(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("REPLACE INTO meta (key, value) VALUES ('visitor', 'was here')")
        connection.commit()


async def test_the_poll_interval_is_how_soon_a_silent_change_is_noticed(tmp_path: Path, clock: FakeClock) -> None:
    store = await open_backend(queue_url(tmp_path, "poll_interval_ms=10"), clock)
    async with store.changes() as bell:
        write_without_mycelium(store.path)
        with anyio.fail_after(PATIENCE):
            await bell.wait()
    await store.aclose()
    seldom = await open_backend(queue_url(tmp_path, "poll_interval_ms=3600000"), clock)
    async with seldom.changes() as bell:
        write_without_mycelium(seldom.path)
        with anyio.move_on_after(0.7) as waited:  # longer than without the setting
            await bell.wait()
        assert waited.cancelled_caught
    await seldom.aclose()
