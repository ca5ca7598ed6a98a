"""What people read at the end of a survey."""

import os
from collections import Counter
from pathlib import Path

import pytest

from mycelium_server.demo.analysis import SEVERITIES, Analysis, Finding, Findings, Wanted
from mycelium_server.demo.files import LeftOut, Listing
from mycelium_server.demo.measure import FileMeasure, Function
from mycelium_server.demo.report import Part, Survey, render, write_whole
from mycelium_server.demo.survey import Measures


def survey(*files: FileMeasure, listing: Listing | None = None) -> Survey:
    parts = (
        Part(task_id="w-1.measure-01", measures=Measures(agent="ada", files=files[::2])),
        Part(task_id="w-1.measure-02", measures=Measures(agent="grace", files=files[1::2])),
    )
    return Survey(name="project", listing=listing or Listing(), parts=parts)


BUSY = FileMeasure(
    path="pkg/busy.py",
    lines=1200,
    functions=3,
    complexity=16,
    worst=(Function(name="tangle", line=7, complexity=14), Function(name="plain", line=2, complexity=1)),
    unused=("os", "sys"),
    unused_count=4,
)
CALM = FileMeasure(
    path="calm.py", lines=10, functions=1, complexity=2, worst=(Function(name="calm", line=1, complexity=2),)
)
BROKEN = FileMeasure(path="broken.py", lines=3, problem="syntax error in line 1: expected `)`")


def test_totals_count_every_file() -> None:
    assert dict(survey(BUSY, CALM, BROKEN).totals()) == {
        "Python files": "3",
        "Lines": "1,213",
        "Functions": "4",
        "Mean complexity": "4.5",
        "Unused imports": "4",
        "Not measured": "1",
    }


def test_report_names_the_most_complex_functions_first() -> None:
    text = render(survey(CALM, BUSY))
    assert "| 14 | `tangle` | `pkg/busy.py`:7 |\n| 2 | `calm` | `calm.py`:1 |" in text


def test_report_tells_who_measured_what() -> None:
    assert "Measured by ada (2 files), grace (1 file)" in render(survey(CALM, BUSY, BROKEN))


def test_report_lists_unused_imports_and_how_many_more() -> None:
    assert "- `pkg/busy.py`: `os`, `sys` and 2 more" in render(survey(BUSY))


def test_report_has_a_row_for_each_file_that_was_measured() -> None:
    text = render(survey(BUSY, CALM, BROKEN))
    assert "| `calm.py` | 10 | 1 | 2 | 0 |\n| `pkg/busy.py` | 1,200 | 3 | 14 | 4 |" in text
    assert "| `broken.py`" not in text


def test_report_says_what_was_not_measured_and_why() -> None:
    listing = Listing(left_out=(LeftOut(path="link.py", why="a link"),), left_out_count=3)
    failed = Part(task_id="w-1.measure-03", measures=None)
    found = survey(BROKEN, listing=listing)
    text = render(found.model_copy(update={"parts": (*found.parts, failed)}))
    assert "- `broken.py`: syntax error in line 1: expected \\`)\\`" in text
    assert "- `link.py`: a link" in text
    assert "- and 2 files more" in text
    assert "- the files of task `w-1.measure-03`, which did not succeed" in text


def test_nothing_found_is_said_in_words() -> None:
    text = render(survey())
    assert "No Python files." in text
    assert "Nothing was left out." in text


def test_no_name_breaks_the_markdown() -> None:
    odd = FileMeasure(path="a|`b`\n#\x1b[31m.py", lines=1)
    text = render(survey(odd))
    assert "| `` a\\|`b`\\x0a#\\x1b[31m.py `` | 1 | 0 | 0 | 0 |" in text
    assert "\x1b" not in text


def test_a_report_replaces_the_one_before_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.md"
    write_whole(path, "first")
    write_whole(path, "second")
    assert path.read_text() == "second"
    assert [each.name for each in path.parent.iterdir()] == ["report.md"]


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "report.md"
    path.write_text("before")
    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["report.md"]


def analysed(path: str, *findings: Finding, problem: str = "") -> Analysis:
    counts = Counter(each.severity for each in findings)
    found = Findings(findings=findings, counts={of: counts[of] for of in SEVERITIES})
    return Analysis(wanted=Wanted(path=path, kind="security"), found=None if problem else found, problem=problem)


def test_findings_are_counted_by_severity_and_the_worst_three_named() -> None:
    findings = [Finding(line=n, rule=f"S{n}", severity="high", message=f"use | of `{n}`") for n in range(1, 5)]
    text = render(survey(CALM).model_copy(update={"analyses": (analysed("calm.py", *findings), analysed("ok.py"))}))
    worst = "<br>".join(f"`S{n}` in line {n}: use \\| of \\`{n}\\`" for n in (1, 2, 3))
    assert f"| `calm.py` | 4 | 0 | 0 | {worst} |\n| `ok.py` | 0 | 0 | 0 | nothing found |" in text
    assert "Not analysed" not in text


def test_an_analysis_that_came_to_nothing_is_named_with_its_reason() -> None:
    missing = analysed("calm.py", problem="the task failed: no <ruff>")
    text = render(survey(CALM).model_copy(update={"analyses": (missing,)}))
    assert "No file was analysed." in text
    assert "## Not analysed\n\n- `calm.py` (security): the task failed: no \\<ruff\\>\n" in text


def test_a_summary_stands_above_everything() -> None:
    text = render(survey(CALM), "## Summary\n\nGood.")
    assert text.index("Good.") < text.index("| Python files | 1 |")
