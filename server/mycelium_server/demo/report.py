"""The survey's report: markdown that people read, from what the agents measured."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from mycelium_server.demo.analysis import SEVERITIES, WORST, Analysis, FileFindings, by_file
from mycelium_server.demo.files import Listing
from mycelium_server.demo.measure import NAMED, FileMeasure, Function
from mycelium_server.demo.survey import Measures
from mycelium_server.demo.values import Frozen, printable

TOP: Final = 15
"""Functions that are listed as the most complex."""


class Part(Frozen):
    """What one measuring task came to; no measures where it did not succeed."""

    task_id: str
    measures: Measures | None


class Survey(Frozen):
    """Everything the agents and the worker found."""

    name: str
    listing: Listing
    parts: tuple[Part, ...]
    analyses: tuple[Analysis, ...] = ()

    @cached_property
    def files(self) -> list[FileMeasure]:
        """By path."""
        found = [each for part in self.parts if part.measures for each in part.measures.files]
        return sorted(found, key=lambda each: each.path)

    @property
    def measured(self) -> list[FileMeasure]:
        return [each for each in self.files if each.problem is None]

    @property
    def troubled(self) -> list[FileMeasure]:
        return [each for each in self.files if each.problem is not None]

    @property
    def failed(self) -> list[str]:
        """The ids of the tasks whose files are missing."""
        return [part.task_id for part in self.parts if part.measures is None]

    @cached_property
    def analysed(self) -> list[FileFindings]:
        """The files that were analysed, the one with the worst findings first."""
        return by_file(self.analyses)

    @property
    def missing(self) -> list[Analysis]:
        """Analyses that came to nothing."""
        return [each for each in self.analyses if each.found is None]

    @property
    def unused(self) -> list[FileMeasure]:
        """Files with unused imports, those with most first."""
        return sorted((each for each in self.files if each.unused_count), key=lambda each: -each.unused_count)

    def most_complex(self, limit: int = TOP) -> list[tuple[FileMeasure, Function]]:
        found = [(each, function) for each in self.files for function in each.worst]
        return sorted(found, key=lambda pair: -pair[1].complexity)[:limit]

    def totals(self) -> list[tuple[str, str]]:
        """What is counted, and the count, for people."""
        functions = sum(each.functions for each in self.files)
        mean = sum(each.complexity for each in self.files) / functions if functions else 0
        return [
            ("Python files", f"{len(self.files):,}"),
            ("Lines", f"{sum(each.lines for each in self.files):,}"),
            ("Functions", f"{functions:,}"),
            ("Mean complexity", f"{mean:.1f}"),
            ("Unused imports", f"{sum(each.unused_count for each in self.files):,}"),
            ("Not measured", f"{len(self.troubled) + self.listing.left_out_count:,}"),
        ]


def render(survey: Survey, summary: str = "") -> str:
    """The report as markdown, below a summary, or what there is to say of one that is missing."""
    sections = [
        f"# Survey of {escaped(survey.name)}\n\n{_byline(survey)}",
        *([summary] if summary else []),
        _table(("", "Total"), survey.totals(), numbers=[1]),
        _section("Findings in the longest files", _findings(survey), "No file was analysed."),
        _section("Most complex functions", _complex(survey), "No functions."),
        _section("Unused imports", _unused(survey), "None: every import is used."),
        _section("Files", _files(survey), "No Python files."),
        _section("Not measured", _not_measured(survey), "Nothing was left out."),
        *([_section("Not analysed", _not_analysed(survey), "")] if survey.missing else []),
    ]
    return "\n\n".join(sections) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _byline(survey: Survey) -> str:
    files = Counter[str]()
    for part in survey.parts:
        if part.measures:
            files[part.measures.agent] += len(part.measures.files)
    shares = ", ".join(f"{escaped(agent)} ({_some(count, 'file')})" for agent, count in sorted(files.items()))
    return f"Measured by {shares or 'nobody'}; agents that share their work through Mycelium."


def _findings(survey: Survey) -> str:
    rows = [
        (_code(each.path), *(str(each.counts[severity]) for severity in SEVERITIES), _worst(each))
        for each in survey.analysed
    ]
    return _table(("File", *map(str.capitalize, SEVERITIES), "The worst"), rows, numbers=range(1, 4))


def _worst(file: FileFindings) -> str:
    said = [f"{_code(each.rule)} in line {each.line}: {escaped(each.message)}" for each in file.findings[:WORST]]
    return "<br>".join(said) or "nothing found"


def _not_analysed(survey: Survey) -> str:
    lines = [f"- {_code(each.wanted.path)} ({each.wanted.kind}): {escaped(each.problem)}" for each in survey.missing]
    return "\n".join(lines)


def _complex(survey: Survey) -> str:
    rows = [
        (str(function.complexity), _code(function.name), f"{_code(each.path)}:{function.line}")
        for each, function in survey.most_complex()
    ]
    return _table(("Complexity", "Function", "Where"), rows, numbers=[0])


def _unused(survey: Survey) -> str:
    return "\n".join(f"- {_code(each.path)}: {named(each, NAMED, _code)}" for each in survey.unused)


def named(each: FileMeasure, limit: int, quote: Callable[[str], str]) -> str:
    """The first unused imports of a file, and how many more there are."""
    shown = each.unused[:limit]
    more = each.unused_count - len(shown)
    return ", ".join(map(quote, shown)) + (f" and {more} more" if more else "")


def _files(survey: Survey) -> str:
    rows = [
        (
            _code(each.path),
            f"{each.lines:,}",
            f"{each.functions:,}",
            str(each.worst[0].complexity if each.worst else 0),
            str(each.unused_count),
        )
        for each in survey.measured
    ]
    return _table(("File", "Lines", "Functions", "Highest complexity", "Unused imports"), rows, numbers=range(1, 5))


def _not_measured(survey: Survey) -> str:
    lines = [f"- {_code(each.path)}: {escaped(each.problem or '')}" for each in survey.troubled]
    lines += [f"- {_code(each.path)}: {escaped(each.why)}" for each in survey.listing.left_out]
    unnamed = survey.listing.left_out_count - len(survey.listing.left_out)
    lines += [f"- and {_some(unnamed, 'file')} more"] if unnamed else []
    lines += [f"- the files of task {_code(task_id)}, which did not succeed" for task_id in survey.failed]
    return "\n".join(lines)


def _section(title: str, body: str, otherwise: str) -> str:
    return f"## {title}\n\n{body or otherwise}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[int]) -> str:
    """Nothing for no rows. The columns that hold `numbers` stand to the right."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    marks = ["--:" if column in numbers else "---" for column in range(len(head))]
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join(marks)} |", *lines])


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _code(text: str) -> str:
    """As code, whatever it holds: a name with a backtick or a bar would end the span or the table's cell."""
    clean = printable(text).replace("|", "\\|")
    return f"`` {clean} ``" if "`" in clean else f"`{clean}`"


def escaped(text: str) -> str:
    """As plain text, whatever it holds."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in printable(text))
