"""The survey's report: markdown that people read, from what the agents measured."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

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
    """Everything the agents found."""

    name: str
    listing: Listing
    parts: tuple[Part, ...]

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


def render(survey: Survey) -> str:
    """The report as markdown."""
    sections = [
        f"# Survey of {_text(survey.name)}\n\n{_byline(survey)}",
        _table(("", "Total"), survey.totals(), right=1),
        _section("Most complex functions", _complex(survey), "No functions."),
        _section("Unused imports", _unused(survey), "None: every import is used."),
        _section("Files", _files(survey), "No Python files."),
        _section("Not measured", _not_measured(survey), "Nothing was left out."),
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
    shares = ", ".join(f"{_text(agent)} ({_some(count, 'file')})" for agent, count in sorted(files.items()))
    return f"Measured by {shares or 'nobody'}; agents that share their work through Mycelium."


def _complex(survey: Survey) -> str:
    rows = [
        (str(function.complexity), _code(function.name), f"{_code(each.path)}:{function.line}")
        for each, function in survey.most_complex()
    ]
    return _table(("Complexity", "Function", "Where"), rows, right=0)


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
    return _table(("File", "Lines", "Functions", "Highest complexity", "Unused imports"), rows, right=1)


def _not_measured(survey: Survey) -> str:
    lines = [f"- {_code(each.path)}: {_text(each.problem or '')}" for each in survey.troubled]
    lines += [f"- {_code(each.path)}: {_text(each.why)}" for each in survey.listing.left_out]
    unnamed = survey.listing.left_out_count - len(survey.listing.left_out)
    lines += [f"- and {_some(unnamed, 'file')} more"] if unnamed else []
    lines += [f"- the files of task {_code(task_id)}, which did not succeed" for task_id in survey.failed]
    return "\n".join(lines)


def _section(title: str, body: str, otherwise: str) -> str:
    return f"## {title}\n\n{body or otherwise}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: int) -> str:
    """Nothing for no rows. The columns from `right` on hold numbers, but a first one alone if it is 0."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    numbers = range(1) if right == 0 else range(right, len(head))
    marks = ["--:" if column in numbers else "---" for column in range(len(head))]
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join(marks)} |", *lines])


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _code(text: str) -> str:
    """As code, whatever it holds: a name with a backtick or a bar would end the span or the table's cell."""
    clean = printable(text).replace("|", "\\|")
    return f"`` {clean} ``" if "`" in clean else f"`{clean}`"


def _text(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in printable(text))
