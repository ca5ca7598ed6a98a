"""A workflow drawn step by step, from what comes first to what comes last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from mycelium.models import Task
from mycelium_server.cli.output import STYLES, for_people, print_json, print_row, printable
from mycelium_server.cli.steps import Step, steps_of, waits_for
from mycelium_server.cli.tree import Tree

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    Row: TypeAlias = tuple[Text, RenderableType, Text]

MARKS: Final = {"completed": "✔", "running": "▶", "failed": "✘", "cancelled": "⊘", "skipped": "↷", "pending": "·"}
ASCII: Final = {"completed": "+", "running": ">", "failed": "x", "cancelled": "-", "skipped": "~", "pending": "."}
BAR: Final = 16
"""Columns of a progress bar."""
WIDEST_NAME: Final = 48


def show_workflow(tree: Tree, *, as_json: bool) -> None:
    """Print the workflow and its tasks; people get those of large steps summed up."""
    if as_json:
        print_json(tree.data)
    elif for_people(as_json=as_json):
        _draw(tree)
    else:
        print_row((tree.workflow.id, tree.workflow.status, tree.workflow.type, f"{tree.workflow.progress:.0%}"))
        _print_tasks(tree)


def _print_tasks(tree: Tree) -> None:
    for task in tree.tasks:
        done = f"{tree.progress(task):.0%}" if task.open else ""
        after, remarks = ",".join(task.depends_on), "; ".join(tree.remarks(task))
        print_row((task.id, task.status, task.type, task.title, task.agent or "", done, after, remarks))
        if inner := tree.opened(task):
            _print_tasks(inner)


def _draw(tree: Tree) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(picture(tree, plain=console.options.ascii_only))


def picture(tree: Tree, *, plain: bool) -> Group:
    """The workflow as a terminal shows it; `plain` for one that has nothing but ASCII."""
    from rich.console import Group
    from rich.text import Text

    rows: list[Row] = []
    steps = steps_of(tree.declared)
    for number, step in enumerate(steps):
        before = steps[number - 1] if number else None
        rows += _tied(f"{number + 1}", list(_blocks(tree, step, before, plain=plain)), plain=plain)
    for number, task in enumerate(tree.undoing):
        rows += _tied("" if number else "undo", [_block(tree, task, None, plain=plain)], plain=plain)
    return Group(_head(tree), *_error(tree), Text(), grid(rows))


def _head(tree: Tree) -> Table:
    from rich.text import Text

    workflow, style = tree.workflow, STYLES[tree.workflow.status]
    said = Text.assemble((printable(workflow.type), "bold"), f"  {workflow.id}  ", (workflow.status, style))
    policy = "" if workflow.on_failure == "continue" else f", {workflow.on_failure} on failure"
    done = f"{workflow.progress:.0%} of {len(workflow.tasks)} tasks{policy}"
    return grid([(said, bar(workflow.progress, style), Text(done))])


def _error(tree: Tree) -> Iterator[Text]:
    from rich.text import Text

    if tree.workflow.error:
        said = str(tree.workflow.error.get("error", tree.workflow.error))
        yield Text(printable(said), STYLES["failed"], no_wrap=True, overflow="ellipsis")


def _blocks(tree: Tree, step: Step, before: Step | None, *, plain: bool) -> Iterator[Sequence[Row]]:
    """For each task of a step that is shown, its row and those of what is within it."""
    from rich.text import Text

    if step.large:
        counts = [Text(f"{count} {status}", STYLES[status]) for status, count in step.counts.items()]
        yield [(Text(f"{len(step.tasks)} tasks", "bold"), bar(step.progress, "green"), Text(", ").join(counts))]
    for task in step.shown:
        yield _block(tree, task, before, plain=plain)


def _block(tree: Tree, task: Task, before: Step | None, *, plain: bool) -> Sequence[Row]:
    rows = [task_row(tree, task, before, plain=plain)]
    if inner := tree.opened(task):
        steps = steps_of(inner.tasks)
        for number, step in enumerate(steps):
            for block in _blocks(inner, step, steps[number - 1] if number else None, plain=plain):
                rows += [_indented(row) for row in block]
    return rows


def _indented(row: Row) -> Row:
    from rich.text import Text

    return Text.assemble("    ", row[0]), row[1], row[2]


def task_row(tree: Tree, task: Task, before: Step | None, *, plain: bool) -> Row:
    """One task: its name, how far it is, and whatever else there is to say of it."""
    from rich.text import Text

    style, mark = STYLES[task.status], (ASCII if plain else MARKS)[task.status]
    name = Text.assemble((f"{mark} ", style), (printable(tree.name(task.id)), "bold"))
    running = task.status == "running"
    return name, bar(tree.progress(task), style) if running else Text(task.status, style), _about(tree, task, before)


def _about(tree: Tree, task: Task, before: Step | None) -> Text:
    """Whatever else there is to say of a task."""
    from rich.text import Text

    said: list[tuple[str, str]] = []
    if task.agent:
        said.append((f"{task.progress:.0%} {task.agent}", "cyan"))
    style = STYLES["failed"] if task.status == "failed" else "yellow"
    said += [(text, style) for text in tree.remarks(task)]
    said += [(text, "") for text in dict.fromkeys((task.title, task.note)) if text]
    if waits := waits_for(task, before):
        said.append((f"after {', '.join(tree.name(key) for key in waits)}", "dim"))
    return Text("  ").join(Text(printable(text), style) for text, style in said)


def _tied(label: str, blocks: Sequence[Sequence[Row]], *, plain: bool) -> Iterator[Row]:
    """A step's rows with its number, tied together; what is within a task hangs below it."""
    from rich.text import Text

    only, first, middle, last, on = ("--", "+-", "+-", "+-", "| ") if plain else ("──", "┬─", "├─", "└─", "│ ")
    for line, block in enumerate(blocks):
        ends = line == len(blocks) - 1
        twig = only if len(blocks) == 1 else first if line == 0 else last if ends else middle
        for depth, (name, state, about) in enumerate(block):
            tie = twig if depth == 0 else "  " if ends else on
            number = label if line == 0 and depth == 0 else ""
            yield Text.assemble(f"{number:>3} ", (f"{tie} ", "dim"), name), state, about


def bar(progress: float, style: str) -> RenderableType:
    from rich.progress_bar import ProgressBar

    return ProgressBar(total=1, completed=progress, width=BAR, complete_style=style, finished_style=style)


def grid(rows: Sequence[Row]) -> Table:
    """The rows in columns, of which only the last gives way where the terminal is narrow."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=WIDEST_NAME)
    table.add_column(no_wrap=True, width=BAR)
    table.add_column()
    for name, state, about in rows:
        about.no_wrap, about.overflow = True, "ellipsis"
        table.add_row(name, state, about)
    return table
