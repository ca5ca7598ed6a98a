"""The survey as a workflow: one task lists the files, parallel ones measure and analyse them, the last one reports.

How many tasks measure is settled when the workflow is made. Which files each of them gets stands in the result of
the task that lists them: part 2 of 10 takes the 2nd, the 12th, the 22nd file and so on. What is analysed is known from
the start; each file when it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mycelium_server.demo.analysis import KINDS, TOOL, Wanted
from mycelium_server.demo.files import Listing
from mycelium_server.demo.measure import FileMeasure
from mycelium_server.demo.values import Frozen

WORKFLOW: Final = "survey"
LIST: Final = "survey.list"
MEASURE: Final = "survey.measure"
REPORT: Final = "survey.report"
TYPES: Final = (LIST, MEASURE, REPORT)
"""What agents do; the rest is the worker's."""
SUMMARY: Final = "survey.summary"
"""Done by a model. It is no task of the workflow: the report stands without it, too."""

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


class Worker(Frozen):
    """Who does what agents cannot, and the queue where such tasks are left for it: none where they are messages."""

    name: str
    queue: str | None = None


class ReportWork(Frozen):
    """The payload of the task that writes the report to `path`.

    It depends on the listing, then on each of the `parts`, then on each analysis in the order of `wanted`.
    """

    target: Target
    path: str
    parts: int
    wanted: tuple[Wanted, ...] = ()
    worker: Worker | None = None


class Analysed(Frozen):
    """A file that is analysed, and the part that measures it."""

    path: str
    part: int


def analysed(listing: Listing, paths: Sequence[str]) -> list[Analysed]:
    """Which part measures each of these files of the listing."""
    parts = parts_for(len(listing.files))
    return [Analysed(path=path, part=listing.files.index(path) % parts + 1) for path in paths]


def start_channel(workflow_id: str) -> str:
    """Where the agents are told to begin, so that all of them get their share."""
    return f"demo:{workflow_id}"


def parts_for(files: int) -> int:
    """How many tasks are to measure this many files."""
    return min(files, MOST_PARTS)


def survey_tasks(
    target: Target, parts: int, report: str, analysed: Sequence[Analysed] = (), worker: Worker | None = None
) -> list[dict[str, object]]:
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
    wanted = [(each, Wanted(path=each.path, kind=kind)) for each in analysed for kind in KINDS]
    # The first waits for nothing, so that the worker's tools start while the agents do.
    analysing = [
        _analysing(f"analyse-{number:02}", call, names[each.part - 1] if number > 1 else None, worker and worker.queue)
        for number, (each, call) in enumerate(wanted, 1)
    ]
    work = ReportWork(target=target, path=report, parts=parts, wanted=tuple(call for _, call in wanted), worker=worker)
    before = ["list-files", *names, *(str(task["name"]) for task in analysing)]
    reporting = _task("report", REPORT, "Write the report", work, before)
    # A part that failed is missing from the report; it is written all the same, and says so.
    return [listing, *measuring, *analysing, {**reporting, "run_when": "all_done"}]


def _analysing(name: str, wanted: Wanted, after: str | None, queue: str | None) -> dict[str, object]:
    """One call of a tool. It does not need what the file was measured at, only follows the survey through the files."""
    task = _task_of(
        name,
        TOOL,
        f"{wanted.kind.capitalize()} of {wanted.path.rpartition('/')[2]}",
        wanted.call(),
        [after] if after else [],
    )
    return {**task, "run_when": "all_done", "queue": queue}


def _part_title(part: int, parts: int) -> str:
    return f"Measure part {part} of {parts}"


def _task(name: str, type: str, title: str, payload: Frozen, depends_on: Sequence[str]) -> dict[str, object]:
    return _task_of(name, type, title, payload.model_dump(mode="json"), depends_on)


def _task_of(
    name: str, type: str, title: str, payload: Mapping[str, object], depends_on: Sequence[str]
) -> dict[str, object]:
    return {
        "name": name,
        "type": type,
        "title": title[:500],
        "payload": payload,
        "depends_on": list(depends_on),
        "max_attempts": ATTEMPTS,
        "timeout_seconds": TIMEOUT,
    }
