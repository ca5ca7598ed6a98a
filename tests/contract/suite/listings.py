"""Listings: filters, and pages that hold while the store moves on."""

from datetime import timedelta

import anyio
import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed, done, refuses


async def pages(m: Mycelium, limit: int) -> list[list[str]]:
    """The ids of all tasks, page by page."""
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await m.list_tasks(limit=limit, cursor=cursor)
        found.append([task.id for task in page.records])
        cursor = page.cursor
        if cursor is None:
            return found


class ListingContract(Contract):
    async def test_tasks_are_listed_newest_first_a_page_at_a_time(self, m: Mycelium) -> None:
        made = [(await m.create_task("x")).id for _ in range(7)][::-1]
        assert await pages(m, 3) == [made[:3], made[3:6], made[6:]]
        assert await pages(m, 7) == [made]
        assert await pages(m, 1000) == [made]

    async def test_an_empty_store_has_one_empty_page(self, m: Mycelium) -> None:
        assert await pages(m, 5) == [[]]
        assert (await m.list_agents()).records == []
        assert (await m.list_workflows()).records == []

    async def test_each_filter_narrows_the_listing(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        workflow = await m.create_workflow("w", ["a", "b"])
        mine = await m.create_task("review", assigned_to="ada", title="Look at the parser")
        later = await m.create_task("deploy", not_before=clock() + timedelta(hours=1))
        held = await claimed(bob, (await m.create_task("build")).id)
        finished = await m.create_task("build", title="PARSER again")
        await done(m, finished.id)

        async def found(**filters: object) -> set[str]:
            page = await m.list_tasks(**filters)  # pyright: ignore[reportArgumentType] - any of the filters
            return {task.id for task in page.records}

        a, b = workflow.tasks
        assert await found() == {a, b, mine.id, later.id, held.id, finished.id}
        assert await found(status="pending") == {a, b, mine.id, later.id}
        assert await found(ready=True) == {a, mine.id}
        assert await found(assigned_to="ada") == {mine.id}
        assert await found(held_by="bob") == {held.id}
        assert await found(workflow_id=workflow.id) == {a, b}
        assert await found(workflow_id=workflow.id, ready=True) == {a}
        assert await found(search="parser") == {mine.id, finished.id}
        assert await found(search="parser", status="completed") == {finished.id}
        assert await found(search="BUILD") == {held.id, finished.id}
        assert await found(search=later.id[3:]) == {later.id}
        assert await found(search="100%_nothing") == set()

    @pytest.mark.parametrize("search", ["ärger", "ÄRGER", "Straße", "%", "_", "'", '"', "*", "\\"])
    async def test_a_search_takes_any_text_as_it_is_in_any_case(self, m: Mycelium, search: str) -> None:
        task = await m.create_task("x", title="Ärger in der Straße: 50% _ ' \" * \\")
        await m.create_task("x", title="nothing")
        assert [found.id for found in (await m.list_tasks(search=search)).records] == [task.id]

    async def test_paging_holds_while_tasks_are_created(self, m: Mycelium, bob: Mycelium) -> None:
        old = [(await m.create_task("old")).id for _ in range(300)]
        seen: list[str] = []
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:

                async def create() -> None:
                    while True:
                        await bob.create_task("new")
                        await anyio.lowlevel.checkpoint()

                group.start_soon(create)
                cursor: str | None = None
                while True:
                    page = await m.list_tasks(limit=7, cursor=cursor)
                    seen += [task.id for task in page.records]
                    await m.create_task("new")
                    await anyio.lowlevel.checkpoint()
                    cursor = page.cursor
                    if cursor is None:
                        break
                group.cancel_scope.cancel()
        assert len(seen) == len(set(seen))
        assert [key for key in seen if key in set(old)] == old[::-1]

    async def test_paging_holds_while_tasks_leave_the_filter(self, m: Mycelium) -> None:
        made = [(await m.create_task("x")).id for _ in range(20)]
        page = await m.list_tasks(status="pending", limit=5)
        for task in page.records:
            await done(m, task.id)
        rest = await m.list_tasks(status="pending", limit=100, cursor=page.cursor)
        assert [task.id for task in rest.records] == made[:15][::-1]

    @pytest.mark.parametrize(
        "cursor",
        ["", "nonsense/..", "t-1; DROP TABLE tasks", "-1", "1.5", "\0", "é", "0", "01", "3", "9" * 18, "9" * 200],
    )
    async def test_a_cursor_that_no_page_gave_is_refused(self, m: Mycelium, cursor: str) -> None:
        await m.create_task("x")
        await m.create_workflow("w", ["a"])
        async with refuses(m, "invalid_cursor"):
            await m.list_tasks(cursor=cursor)
        async with refuses(m, "invalid_cursor"):
            await m.list_workflows(cursor=cursor)

    @pytest.mark.parametrize("cursor", ["", "../x", "a b", "\0", "é", "x" * 200])
    async def test_a_cursor_that_names_no_agent_is_refused(self, m: Mycelium, cursor: str) -> None:
        await m.store_agent_status()
        async with refuses(m, "invalid_cursor"):
            await m.list_agents(cursor=cursor)
