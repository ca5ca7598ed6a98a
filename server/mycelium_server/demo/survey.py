"""The survey as a workflow: one task lists the files, parallel ones measure them, the last one reports.

How many tasks measure is settled when the workflow is made. Which files each of them gets stands in the result of
the task that lists them: part 2 of 10 takes the 2nd, the 12th, the 22nd file and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mycelium_server.demo.files import Listing
from mycelium_server.demo.measure import FileMeasure
from mycelium_server.demo.values import Frozen

WORKFLOW: Final = "survey"
LIST: Final = "survey.list"
MEASURE: Final = "survey.measure"
REPORT: Final = "survey.report"
TYPES: Final = (LIST, MEASURE, REPORT)

MOST_PARTS: Final = 48
"""Tasks that measure, at most; up to here each takes one file."""
ATTEMPTS: Final = 3
TIMEOUT: Final = 300.0
"""Seconds for one attempt: an agent that hangs while connected keeps its lease, but not for ever."""


class Target(Frozen):
    """What is surveyed: the Python files below `folder`, or only those in some of its subfolders."""

    folder: str
    only: tuple[str, ...] = ()
    name: str
    """For people."""


class ListWork(Frozen):
    """The payload of the task that lists the files. Its result is a `Listing`."""

    target: Target


class MeasureWork(Frozen):
    """The payload of a task that measures, which depends on the listing. Its result is `Measures`."""

    target: Target
    part: int
    parts: int

    def share(self, listing: Listing) -> tuple[str, ...]:
        """The files that this part measures."""
        return listing.files[self.part - 1 :: self.parts]


class Measures(Frozen):
    """What one part found, and who measured it."""

    agent: str
    files: tuple[FileMeasure, ...]


class ReportWork(Frozen):
    """The payload of the task that writes the report to `path`; it depends on the listing, then on every part."""

    target: Target
    path: str


def start_channel(workflow_id: str) -> str:
    """Where the agents are told to begin, so that all of them get their share."""
    return f"demo:{workflow_id}"


def parts_for(files: int) -> int:
    """How many tasks are to measure this many files."""
    return min(files, MOST_PARTS)


def survey_tasks(target: Target, parts: int, report: str) -> list[dict[str, object]]:
    """The workflow's tasks, for `create_workflow`."""
    numbers = range(1, parts + 1)
    names = [f"measure-{part:02}" for part in numbers]
    listing = _task("list-files", LIST, "List the Python files", ListWork(target=target), [])
    measuring = [
        _task(
            name, MEASURE, _part_title(part, parts), MeasureWork(target=target, part=part, parts=parts), ["list-files"]
        )
        for name, part in zip(names, numbers, strict=True)
    ]
    reporting = _task(
        "report", REPORT, "Write the report", ReportWork(target=target, path=report), ["list-files", *names]
    )
    # A part that failed is missing from the report; it is written all the same, and says so.
    return [listing, *measuring, {**reporting, "run_when": "all_done"}]


def _part_title(part: int, parts: int) -> str:
    return f"Measure part {part} of {parts}"


def _task(name: str, type: str, title: str, payload: Frozen, depends_on: Sequence[str]) -> dict[str, object]:
    return {
        "name": name,
        "type": type,
        "title": title[:500],
        "payload": payload.model_dump(mode="json"),
        "depends_on": list(depends_on),
        "max_attempts": ATTEMPTS,
        "timeout_seconds": TIMEOUT,
    }
