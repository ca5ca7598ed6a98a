"""Analysing the longest files: what the worker is asked for, one call of a tool each, and what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from mycelium_server.demo.answers import blocks_of
from mycelium_server.demo.measure import LARGEST
from mycelium_server.demo.values import Frozen

TOOL: Final = "tool"
"""The type of a task that is one call of one MCP tool."""
ANALYSER: Final = "analyze_code"
"""The workbench's tool."""
FILES: Final = 4
"""Files that are analysed, the longest ones: the survey is to stay short."""
WORST: Final = 3
"""Findings of a file that are named."""
PATIENCE: Final = 60.0
"""Seconds for one call; ruff usually needs 0.02."""

Kind = Literal["security", "quality", "performance"]
KINDS: Final[tuple[Kind, ...]] = ("security", "quality", "performance")
Severity = Literal["high", "medium", "low"]
SEVERITIES: Final[tuple[Severity, ...]] = ("high", "medium", "low")


class Wanted(Frozen):
    """Which file is to be analysed, and in which respect."""

    path: str
    kind: Kind

    def call(self) -> dict[str, object]:
        """The payload of the task."""
        return {"tool": ANALYSER, "arguments": {"path": self.path, "analysis_type": self.kind}, "seconds": PATIENCE}


class Finding(Frozen):
    """What the analyser objects to."""

    line: int
    rule: str
    severity: Severity
    message: str


class Findings(Frozen):
    """The tool's answer, as far as the report needs it. The counts are of all findings, some of which it names."""

    findings: tuple[Finding, ...]
    counts: Mapping[Severity, int]


class Analysis(Frozen):
    """What one analysis came to, or why it came to nothing."""

    wanted: Wanted
    found: Findings | None = None
    problem: str = ""


class FileFindings(Frozen):
    """What all analyses of one file found, the worst first."""

    path: str
    counts: Mapping[Severity, int]
    findings: tuple[Finding, ...]


def longest(folder: Path, paths: Sequence[str]) -> list[str]:
    """Those of these files with the most bytes, as long as people may have written them.

    Tests come last: nearly all that an analyser says of them is that they assert.
    """
    sizes = {path: _size(folder / path) for path in paths}
    sound = [path for path, size in sizes.items() if 0 < size <= LARGEST]
    return sorted(sound, key=lambda path: (_is_test(path), -sizes[path], path))[:FILES]


def _is_test(path: str) -> bool:
    folders, _, name = path.rpartition("/")
    return name.startswith(("test_", "conftest")) or name.endswith("_test.py") or "tests" in folders.split("/")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def analysis_of(wanted: Wanted, result: object, problem: str) -> Analysis:
    """From the result of the task, or from why it has none."""
    try:
        answers = (each.results for each in blocks_of(result) if each.name == ANALYSER)
        found = next(map(Findings.model_validate, answers), None)
    except ValidationError:
        return Analysis(wanted=wanted, problem="what the tool answered cannot be read")
    return Analysis(wanted=wanted, found=found, problem="" if found else problem or "there is no answer")


def by_file(analyses: Sequence[Analysis]) -> list[FileFindings]:
    """What was found in each file that was analysed at all, the file with the worst first."""
    found: dict[str, list[Findings]] = {}
    for each in analyses:
        if each.found is not None:
            found.setdefault(each.wanted.path, []).append(each.found)
    files = [_together(path, answers) for path, answers in found.items()]
    return sorted(files, key=lambda file: [-file.counts[severity] for severity in SEVERITIES])


def _together(path: str, answers: Sequence[Findings]) -> FileFindings:
    counts: dict[Severity, int] = {
        severity: sum(each.counts.get(severity, 0) for each in answers) for severity in SEVERITIES
    }
    findings = [finding for each in answers for finding in each.findings]
    return FileFindings(path=path, counts=counts, findings=tuple(_worst_first(findings)))


def _worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Among those that are alike bad, the first of each rule before the second of any."""
    seen = Counter[str]()
    ranked: list[tuple[int, int, int, Finding]] = []
    for each in sorted(findings, key=lambda each: each.line):
        ranked.append((SEVERITIES.index(each.severity), seen[each.rule], each.line, each))
        seen[each.rule] += 1
    return [finding for *_, finding in sorted(ranked, key=lambda each: each[:3])]
