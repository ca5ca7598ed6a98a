"""What the demo says at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_server.demo.files import Listing
from mycelium_server.demo.report import Part, Survey, named
from mycelium_server.demo.survey import Measures, Target
from mycelium_server.demo.values import printable

SHOWN: Final = 5
IMPORTS: Final = 3
"""Names of one file."""


async def read_survey(m: Mycelium, target: Target, task_ids: Sequence[str]) -> Survey:
    """What the agents found, from the results of the workflow's tasks, as far as they have one."""
    listing, *parts, _report = await m.get_tasks(task_ids)
    return Survey(
        name=target.name,
        listing=Listing.model_validate(listing.result or {}),
        parts=tuple(Part(task_id=part.id, measures=_measures(part)) for part in parts),
    )


def _measures(part: Task) -> Measures | None:
    return Measures.model_validate(part.result) if part.result else None


def summarize(console: Console, survey: Survey) -> None:
    """Totals, the most complex functions, and the files with unused imports."""
    _rows(console, "Totals", survey.totals())
    complex = survey.most_complex(SHOWN)
    _rows(
        console,
        "Most complex functions",
        [(str(each.complexity), f"{each.name}  {file.path}:{each.line}") for file, each in complex],
    )
    unused = [(str(each.unused_count), f"{each.path}  {named(each, IMPORTS, str)}") for each in survey.unused]
    _rows(console, "Unused imports", unused[:SHOWN])
    if len(unused) > SHOWN:
        say(console, f"  and {len(unused) - SHOWN} more files")


def _rows(console: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Numbers stand to the right, whichever side they are on."""
    lines = list(rows)
    if not lines:
        return
    left, right = (max(len(row[side]) for row in lines) for side in (0, 1))
    console.print()
    say(console, title, style="bold")
    for first, second in lines:
        if first.isdecimal():
            say(console, f"  {first:>{left}}  {second}")
        else:
            say(console, f"  {first:<{left}}  {second:>{right}}")


def say(console: Console, text: str, style: str = "") -> None:
    """One line as it is: no markup, no wrapping, nothing that a terminal obeys."""
    console.print(Text(printable(text), style=style), soft_wrap=True)
