"""The live view follows the store's events, and nothing else."""

import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from rich.console import Console

from mycelium import Mycelium
from mycelium_backends.memory import MemoryBackend
from mycelium_server.demo.frame import Frame
from mycelium_server.demo.state import State
from mycelium_server.demo.survey import (
    LIST,
    MEASURE,
    MOST_PARTS,
    SUMMARY,
    Analysed,
    Target,
    Worker,
    parts_for,
    survey_tasks,
)
from tests.support.clock import FakeClock

TARGET = Target(folder="/folder", name="folder")
LONG = Analysed(path="pkg/long.py", part=2)


class Watched:
    """A survey of two parts in a store in memory, and the state that follows it."""

    def __init__(self, m: Mycelium, state: State) -> None:
        self.m = m
        self.state = state
        self._cursor = 0

    async def look(self) -> State:
        """The state after everything that has happened."""
        page = await self.m.read_events(after=self._cursor, limit=1000)
        self._cursor = page.cursor
        for event in page.events:
            self.state.apply(event)
        return self.state

    async def claim(self, agent: str, lease_seconds: float = 60) -> str:
        task = await self.m.claim_task(agent=agent, lease_seconds=lease_seconds)
        assert task is not None
        return task.id

    def drawn(self, width: int = 100, height: int = 40, encoding: str = "utf-8") -> str:
        console = Console(width=width, height=height, file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        with console.capture() as capture:
            console.print(Frame("Survey", self.state, 1.5))
        return capture.get()


@asynccontextmanager
async def survey_under_watch(
    clock: FakeClock, parts: int = 2, analysed: Sequence[Analysed] = ()
) -> AsyncGenerator[Watched]:
    async with Mycelium.over(MemoryBackend(clock), clock=clock, background=False) as m:
        worker = Worker(name="worker") if analysed else None
        workflow = await m.create_workflow("survey", survey_tasks(TARGET, parts, "/report.md", analysed, worker))
        team = State.of(workflow, await m.get_tasks(workflow.tasks), ["ada", "grace"], worker and worker.name)
        yield Watched(m, team)


async def test_agents_come_and_go(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        assert not (await watched.look()).gathered
        await watched.m.store_agent_status("ada")
        assert (await watched.look()).agents["ada"].status == "idle"
        await watched.m.store_agent_status("grace")
        assert (await watched.look()).gathered
        await watched.m.leave("ada")
        assert (await watched.look()).agents["ada"].status == "offline"


async def test_nobody_waits_for_the_worker(clock: FakeClock) -> None:
    async with survey_under_watch(clock, analysed=[LONG]) as watched:
        await watched.m.store_agent_status("ada")
        await watched.m.store_agent_status("grace")
        assert (await watched.look()).gathered
        assert watched.state.agents["worker"].status == "starting"


async def test_what_the_worker_does_is_told_with_its_file(clock: FakeClock) -> None:
    async with survey_under_watch(clock, analysed=[LONG]) as watched:
        task = await watched.m.claim_task(agent="worker", types=["tool"])
        assert task is not None
        assert (await watched.look()).agents["worker"].task_id == task.id
        assert "analyse-01: security of long.py" in watched.drawn()
        await watched.m.complete_task(task.id)
        assert (await watched.look()).recent[-1].text == "finished analyse-01: security of long.py"


async def test_the_summary_comes_before_the_report_however_late_it_is_asked_for(clock: FakeClock) -> None:
    async with survey_under_watch(clock, analysed=[LONG]) as watched:
        asked = await watched.m.create_task(SUMMARY, title="Write the summary")
        assert asked.id not in (await watched.look()).tasks, "nobody of this survey asked for it"
        watched.m.agent = "ada"
        asked = await watched.m.create_task(SUMMARY, title="Write the summary")
        await watched.look()
        assert list(watched.state.tasks)[-2:] == [asked.id, f"{watched.state.workflow_id}.report"]


async def test_a_task_goes_from_claim_to_completion(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        task_id = await watched.claim("ada")
        await watched.m.update_task(task_id, progress=0.5, note="walking")
        state = await watched.look()
        assert state.agents["ada"].task_id == task_id
        assert (state.tasks[task_id].progress, state.tasks[task_id].note) == (0.5, "walking")
        assert state.progress == pytest.approx(0.5 / 4)
        await watched.m.complete_task(task_id)
        state = await watched.look()
        assert (state.ended, state.agents["ada"].done, state.agents["ada"].task_id) == (1, 1, None)


async def test_a_lost_agent_gives_its_task_back(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        task_id = await watched.claim("ada", lease_seconds=10)
        clock.advance(11)
        await watched.m.housekeep()
        state = await watched.look()
        assert state.tasks[task_id].status == "pending"
        assert state.agents["ada"].status == "lost"
        await watched.claim("grace")
        assert (await watched.look()).agents["grace"].task_id == task_id


async def test_the_outcome_is_the_workflows(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        for agent in ("ada", "grace", "ada", "grace"):
            assert (await watched.look()).outcome is None
            await watched.m.complete_task(await watched.claim(agent))
        assert (await watched.look()).outcome == "completed"
        assert watched.state.progress == 1


async def test_a_failed_task_fails_the_survey_but_not_the_report(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        await watched.m.complete_task(await watched.claim("ada"))
        await watched.m.fail_task(await watched.claim("ada"), "no ruff", retry=False)
        await watched.m.complete_task(await watched.claim("ada"))
        await watched.m.complete_task(await watched.claim("ada"))
        assert (await watched.look()).outcome == "failed"
        assert [task.status for task in watched.state.tasks.values()] == [
            "completed",
            "failed",
            "completed",
            "completed",
        ]


async def test_other_work_in_the_store_is_not_shown(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        await watched.look()
        await watched.m.create_task("other")
        await watched.m.store_agent_status("stranger")
        assert not (await watched.look()).recent


async def test_the_frame_shows_agents_tasks_bars_and_news(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        await watched.m.complete_task(await watched.claim("ada"))
        await watched.m.update_task(await watched.claim("ada"), progress=0.5, note="evil\x1b[2J.py")
        await watched.look()
        drawn = watched.drawn()
    for shown in ("ada", "busy", "1 done", "grace", "starting", "measure-01: evil\\x1b[2J.py"):
        assert shown in drawn
    for shown in ("━", "50%", "▣ □", "1 of 4", "claimed measure-01"):
        assert shown in drawn


@pytest.mark.parametrize("size", [(80, 24), (60, 22), (200, 60)])
async def test_the_frame_fits_its_terminal(clock: FakeClock, size: tuple[int, int]) -> None:
    width, height = size
    async with survey_under_watch(clock, parts=MOST_PARTS, analysed=[LONG]) as watched:
        await watched.claim("ada")
        await watched.look()
        lines = watched.drawn(width, height).splitlines()
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


async def test_a_terminal_that_knows_only_ascii_gets_nothing_else(clock: FakeClock) -> None:
    async with survey_under_watch(clock) as watched:
        task_id = await watched.claim("ada")
        await watched.m.update_task(task_id, progress=0.5, note="ünï/" + "long/" * 50)
        await watched.look()
        drawn = watched.drawn(encoding="ascii")
    assert drawn.isascii()
    assert {len(line) for line in drawn.splitlines()} == {100}
    assert "list-files: ?n?/long" in drawn
    assert "| . . " in drawn


def test_small_folders_get_a_task_for_each_file_and_large_ones_a_bounded_number() -> None:
    assert [parts_for(files) for files in (0, 1, 30, 5000)] == [0, 1, 30, 48]
    tasks = survey_tasks(TARGET, 48, "/report.md")
    assert [task["type"] for task in tasks[:2]] == [LIST, MEASURE]
    assert len(tasks) == 50
