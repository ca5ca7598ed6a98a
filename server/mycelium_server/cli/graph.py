"""A workflow drawn step by step, from what comes first to what comes last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from mycelium.models import Task, Workflow
from mycelium_server.cli.output import STYLES, for_people, print_json, print_row, printable
from mycelium_server.cli.steps import Step, steps_of, waits_for

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    Row: TypeAlias = tuple[Text, RenderableType, Text]

MARKS: Final = {"completed": "✔", "running": "▶", "failed": "✘", "cancelled": "⊘", "skipped": "↷", "pending": "·"}
ASCII: Final = {"completed": "+", "running": ">", "failed": "x", "cancelled": "-", "skipped": "~", "pending": "."}
BAR: Final = 16
"""Columns of a progress bar."""
WIDEST_NAME: Final = 48


def show_workflow(workflow: Workflow, tasks: Sequence[Task], *, as_json: bool) -> None:
    """Print the workflow and its tasks; people get those of large steps summed up."""
    if as_json:
        print_json({**workflow.model_dump(mode="json"), "members": [task.model_dump(mode="json") for task in tasks]})
    elif for_people(as_json=as_json):
        _draw(workflow, steps_of(tasks))
    else:
        print_row((workflow.id, workflow.status, workflow.type, f"{workflow.progress:.0%}"))
        for task in tasks:
            done = f"{task.progress:.0%}" if task.open else ""
            print_row((task.id, task.status, task.type, task.title, task.agent or "", done, ",".join(task.depends_on)))


def _draw(workflow: Workflow, steps: Sequence[Step]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_head(workflow))
    console.print()
    marks = ASCII if console.options.ascii_only else MARKS
    rows: list[Row] = []
    for number, step in enumerate(steps):
        before = steps[number - 1] if number else None
        rows += _numbered(number + 1, list(_rows(workflow, step, before, marks)), plain=marks is ASCII)
    console.print(_grid(rows))


def _head(workflow: Workflow) -> Table:
    from rich.text import Text

    style = STYLES[workflow.status]
    said = Text.assemble((printable(workflow.type), "bold"), f"  {workflow.id}  ", (workflow.status, style))
    done = f"{workflow.progress:.0%} of {len(workflow.tasks)} tasks"
    return _grid([(said, _bar(workflow.progress, style), Text(done))])


def _rows(workflow: Workflow, step: Step, before: Step | None, marks: dict[str, str]) -> Iterator[Row]:
    from rich.text import Text

    if step.large:
        counts = [Text(f"{count} {status}", STYLES[status]) for status, count in step.counts.items()]
        yield Text(f"{len(step.tasks)} tasks", "bold"), _bar(step.progress, "green"), Text(", ").join(counts)
    for task in step.shown:
        style = STYLES[task.status]
        name = Text.assemble((f"{marks[task.status]} ", style), (_name(workflow, task.id), "bold"))
        state = _bar(task.progress, style) if task.status == "running" else Text(task.status, style)
        yield name, state, _about(workflow, task, before)


def _about(workflow: Workflow, task: Task, before: Step | None) -> Text:
    """Whatever else there is to say of a task."""
    from rich.text import Text

    said: list[tuple[str, str]] = []
    if task.agent:
        said.append((f"{task.progress:.0%} {task.agent}", "cyan"))
    said += [(text, "") for text in dict.fromkeys((task.title, task.note)) if text]
    if task.error and task.status == "failed":
        said.append((str(task.error.get("error", task.error)), STYLES["failed"]))
    if waits := waits_for(task, before):
        said.append((f"after {', '.join(_name(workflow, key) for key in waits)}", "dim"))
    return Text("  ").join(Text(printable(text), style) for text, style in said)


def _numbered(number: int, rows: Sequence[Row], *, plain: bool) -> Iterator[Row]:
    """A step's rows with its number, tied together."""
    from rich.text import Text

    only, first, middle, last = ("--", "+-", "+-", "+-") if plain else ("──", "┬─", "├─", "└─")
    for line, (name, state, about) in enumerate(rows):
        twig = only if len(rows) == 1 else first if line == 0 else last if line == len(rows) - 1 else middle
        yield Text.assemble(f"{number if line == 0 else '':>3} ", (f"{twig} ", "dim"), name), state, about


def _bar(progress: float, style: str) -> RenderableType:
    from rich.progress_bar import ProgressBar

    return ProgressBar(total=1, completed=progress, width=BAR, complete_style=style, finished_style=style)


def _grid(rows: Sequence[Row]) -> Table:
    """The rows in columns, of which only the last gives way where the terminal is narrow."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=WIDEST_NAME)
    grid.add_column(no_wrap=True, width=BAR)
    grid.add_column()
    for name, state, about in rows:
        about.no_wrap, about.overflow = True, "ellipsis"
        grid.add_row(name, state, about)
    return grid


def _name(workflow: Workflow, key: str) -> str:
    return key.removeprefix(f"{workflow.id}.")
