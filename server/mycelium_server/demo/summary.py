"""What the demo says at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_server.demo.analysis import SEVERITIES, FileFindings, analysis_of
from mycelium_server.demo.files import Listing
from mycelium_server.demo.report import Part, Survey, named
from mycelium_server.demo.survey import Measures, ReportWork
from mycelium_server.demo.values import printable

SHOWN: Final = 5
IMPORTS: Final = 3
"""Names of one file."""


async def read_survey(m: Mycelium, task_ids: Sequence[str]) -> Survey:
    """What was found, from the results of the workflow's tasks, as far as they have one."""
    listing, *others, report = await m.get_tasks(task_ids)
    work = ReportWork.model_validate(report.payload)
    parts, analyses = others[: work.parts], others[work.parts :]
    return Survey(
        name=work.target.name,
        listing=Listing.model_validate(listing.result or {}),
        parts=tuple(Part(task_id=part.id, measures=_measures(part)) for part in parts),
        analyses=tuple(
            analysis_of(wanted, task.result, task.status) for wanted, task in zip(work.wanted, analyses, strict=True)
        ),
    )


def _measures(part: Task) -> Measures | None:
    return Measures.model_validate(part.result) if part.result else None


def summarize(console: Console, survey: Survey) -> None:
    """Totals, the worst findings, the most complex functions, and the files with unused imports."""
    _rows(console, "Totals", survey.totals())
    _rows(console, "Findings in the longest files", [_counted(each) for each in survey.analysed])
    if survey.missing:
        say(console, f"  not analysed: {', '.join(sorted({each.wanted.path for each in survey.missing}))}")
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


def _counted(file: FileFindings) -> tuple[str, str]:
    counts = ", ".join(f"{file.counts[severity]} {severity}" for severity in SEVERITIES if file.counts[severity])
    return file.path, counts or "nothing found"


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
