"""Waiting for work to end, or for an event, with what there is to see of it meanwhile."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio
import typer

from mycelium import Mycelium
from mycelium.client import WorkState
from mycelium.errors import NotFound
from mycelium.models import TASKS, WORKFLOWS, Event, Task, Workflow
from mycelium_server.cli.listings import row_of_event
from mycelium_server.cli.output import for_people, print_json, print_row
from mycelium_server.cli.run import DEADLINE, REFUSED, Usage
from mycelium_server.cli.tree import Tree, tree_of

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

PACE: Final = 0.2
"""Seconds between two pictures, at least: what happens meanwhile is in the next one."""

Row: TypeAlias = tuple[str, ...]
Tell: TypeAlias = Callable[["Work"], None]


@dataclass(slots=True)
class Work:
    """What is waited for, and how far it is."""

    tasks: Sequence[str]
    workflows: Sequence[str]
    states: dict[str, WorkState] = field(default_factory=dict[str, WorkState])
    """By the workflow's id, that of all tasks under none."""

    @classmethod
    async def named(cls, m: Mycelium, ids: Sequence[str]) -> Work:
        """The tasks and workflows of these ids.

        Raises:
            NotFound: one is neither.
        """
        known = {task.id for task in await m.get_tasks(ids)}
        tasks = [key for key in dict.fromkeys(ids) if key in known]
        workflows = [await _workflow(m, key) for key in dict.fromkeys(ids) if key not in known]
        return cls(tasks, workflows)

    async def ended(self, m: Mycelium, tell: Tell) -> None:
        """Wait until all of it has ended, and tell of each change."""
        async with anyio.create_task_group() as group:
            for key in (*self.workflows, *([""] if self.tasks else [])):
                group.start_soon(self._follow, m, key, tell)

    async def _follow(self, m: Mycelium, key: str, tell: Tell) -> None:
        async for state in m.follow_workflow(key or self.tasks):
            self.states[key] = state
            tell(self)

    @property
    def rows(self) -> Sequence[Row]:
        """A row for each: its id, status, type, how far it is, and its error."""
        return [row for state in self.states.values() for row in _rows(state)]

    @property
    def data(self) -> dict[str, Any]:
        states = self.states.values()
        return {
            "ended": self.finished,
            "succeeded": self.succeeded,
            "workflows": [state.workflow.model_dump(mode="json") for state in states if state.workflow],
            "tasks": [task.model_dump(mode="json") for state in states if not state.workflow for task in state.tasks],
        }

    @property
    def finished(self) -> bool:
        return len(self.states) == len(self.workflows) + bool(self.tasks) and all(
            state.finished for state in self.states.values()
        )

    @property
    def succeeded(self) -> bool:
        return self.finished and all(state.succeeded for state in self.states.values())


async def _workflow(m: Mycelium, key: str) -> str:
    try:
        return (await m.get_workflow(key)).id
    except NotFound:
        raise NotFound("task or workflow", key) from None


def _rows(state: WorkState) -> Sequence[Row]:
    records: Sequence[Task | Workflow] = state.tasks if state.workflow is None else [state.workflow]
    return [
        (each.id, each.status, each.type, f"{each.progress if state.workflow is None else state.progress:.0%}",
         str(each.error.get("error", each.error)) if each.error and each.status != "pending" else "")
        for each in records
    ]  # fmt: skip


async def wait_for_work(m: Mycelium, ids: Sequence[str], *, seconds: float | None, as_json: bool) -> None:
    """Wait until all of this has ended, or so many `seconds`. The exit code tells how."""
    work = await Work.named(m, ids)
    with _one_error():
        async with _telling(m, work, as_json=as_json) as tell:
            with anyio.move_on_after(seconds):
                await work.ended(m, tell)
    if as_json:
        print_json(work.data)
    if not work.finished:
        raise typer.Exit(_late(seconds, as_json=as_json))
    raise typer.Exit(0 if work.succeeded else REFUSED)


@contextmanager
def _one_error() -> Generator[None]:
    """What goes wrong in tasks that run at once, as the one error that a command tells."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    if not isinstance(first, BaseExceptionGroup):
        return first
    return _first(cast("BaseExceptionGroup[BaseException]", first))


async def wait_for_event(m: Mycelium, said: str, *, seconds: float | None, as_json: bool) -> None:
    """Wait for the next event like CHANNEL:TYPE and print it."""
    channel, colon, kind = said.rpartition(":")
    if not colon or not channel or not kind:
        raise Usage(f"--event {said!r} is not CHANNEL:TYPE.", hint="Such as 'tasks:events:task.failed' or 'news:*'.")
    event = await m.wait_for_event({"channel": channel, "type": kind}, wait_seconds=seconds)
    if event is None:
        raise typer.Exit(_late(seconds, as_json=as_json))
    _show_event(event, as_json=as_json)


def _show_event(event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json(event.model_dump(mode="json"))
    else:
        print_row(row_of_event(event))


def _late(seconds: float | None, *, as_json: bool) -> int:
    if not as_json:
        typer.echo(f"Not ended after {seconds:g} seconds.", err=True)
    return DEADLINE


@asynccontextmanager
async def _telling(m: Mycelium, work: Work, *, as_json: bool) -> AsyncGenerator[Tell]:
    """How changes are told: as a picture that moves, or line by line, or not at all."""
    if as_json:
        yield lambda _: None
    elif for_people(as_json=as_json):
        async with _drawing(m, work) as tell:
            yield tell
    else:
        yield _Lines()


class _Lines:
    """A line for each record that changed what it shows."""

    def __init__(self) -> None:
        self._told: dict[str, Row] = {}

    def __call__(self, work: Work) -> None:
        for row in work.rows:
            if self._told.get(row[0]) != row:
                self._told[row[0]] = row
                print_row(row)
        sys.stdout.flush()


@asynccontextmanager
async def _drawing(m: Mycelium, work: Work) -> AsyncGenerator[Tell]:
    """Draw the graph anew whenever something happened, as long as this lasts, and once more at its end."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:
        async with anyio.create_task_group() as group:
            group.start_soon(_keep_drawn, m, work, console, live)
            yield lambda _: None
            group.cancel_scope.cancel()
        live.vertical_overflow = "visible"
        live.update(await _picture(m, work, console), refresh=True)


async def _keep_drawn(m: Mycelium, work: Work, console: Console, live: Live) -> None:
    cursor = await m.last_seq()
    while True:
        live.update(await _picture(m, work, console), refresh=True)
        page = await m.read_events([TASKS, WORKFLOWS], after=cursor, limit=1000, wait_seconds=3600)
        cursor = page.cursor
        await anyio.sleep(PACE)


async def _picture(m: Mycelium, work: Work, console: Console) -> Group:
    from rich.console import Group

    from mycelium_server.cli.graph import grid, picture, task_row

    plain = console.options.ascii_only
    trees = [await tree_of(m, key) for key in work.workflows]
    alone = [task_row(_alone(task), task, None, plain=plain) for task in await m.get_tasks(work.tasks)]
    return Group(*(picture(tree, plain=plain) for tree in trees), *([grid(alone)] if alone else []))


def _alone(task: Task) -> Tree:
    """A task by itself, as something to draw."""
    around = Workflow.model_construct(id="-", type="-", created_at=task.created_at, updated_at=task.updated_at)
    return Tree(around, [task])
