"""What an agent of the demo can do: list, measure, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
from pydantic import BaseModel

from mycelium_server.demo.analysis import Analysis, Wanted, analysis_of
from mycelium_server.demo.files import Listing, list_python_files
from mycelium_server.demo.measure import FileMeasure, measure_files
from mycelium_server.demo.report import Part, Survey, render, write_whole
from mycelium_server.demo.summarizing import summary_of
from mycelium_server.demo.survey import LIST, MEASURE, ListWork, Measures, MeasureWork, ReportWork
from mycelium_server.demo.team import Claimed, Team
from mycelium_server.demo.values import Frozen, printable

STEPS = 8
"""Progress reports of one task, at most."""


class CannotDo(Exception):
    """This task cannot be done; says why."""


class Written(Frozen):
    """The result of the task that reports."""

    path: str
    files: int


async def do(task: Claimed, team: Team, pace: float) -> BaseModel:
    """Do the work of a task and give its result. Measuring takes `pace` seconds longer, so that it can be watched.

    Raises:
        CannotDo, MeasuringFailed, OSError: why the attempt failed.
    """
    match task.type:
        case type if type == LIST:
            return await _list(task, team)
        case type if type == MEASURE:
            return await _measure(task, team, pace)
        case _:
            return await _report(task, team)


async def _list(task: Claimed, team: Team) -> Listing:
    target = ListWork.model_validate(task.payload).target
    await team.say(task, 0, f"walking {printable(target.name)}")
    return await anyio.to_thread.run_sync(list_python_files, Path(target.folder), target.only)


async def _measure(task: Claimed, team: Team, pace: float) -> Measures:
    work = MeasureWork.model_validate(task.payload)
    listing = await team.result_of(task.depends_on[0], Listing)
    if listing is None:
        raise CannotDo("the files were not listed")
    files = work.share(listing)
    step = max(1, -(-len(files) // STEPS))
    measured: list[FileMeasure] = []
    for start in range(0, len(files), step):
        await team.say(task, start / len(files), _naming(files[start:]))
        found = await measure_files(Path(work.target.folder), files[start : start + step])
        measured += found
        await anyio.sleep(pace * _lingering(found) / len(files))
    return Measures(agent=team.agent, files=tuple(measured))


def _lingering(files: Sequence[FileMeasure]) -> float:
    """Between a half and two for each file: people, too, look longer at longer ones."""
    return sum(0.5 + min(each.lines / 200, 1.5) for each in files)


def _naming(files: Sequence[str]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{printable(files[0])}{more}"


async def _report(task: Claimed, team: Team) -> Written:
    work = ReportWork.model_validate(task.payload)
    listing_id, *others = task.depends_on
    part_ids, analysis_ids = others[: work.parts], others[work.parts :]
    listing = await team.result_of(listing_id, Listing)
    if listing is None:
        raise CannotDo("the files were not listed")
    parts: list[Part] = []
    for number, part_id in enumerate(part_ids, 1):
        parts.append(Part(task_id=part_id, measures=await team.result_of(part_id, Measures)))
        if number % -(-len(part_ids) // STEPS) == 0:
            await team.say(task, number / (len(part_ids) + 1), f"read {number} of {len(part_ids)} results")
    analyses = [await _analysis(team, *each) for each in zip(work.wanted, analysis_ids, strict=True)]
    survey = Survey(name=work.target.name, listing=listing, parts=tuple(parts), analyses=tuple(analyses))
    await anyio.to_thread.run_sync(write_whole, Path(work.path), render(survey))
    # Now it stands, whatever becomes of the summary.
    if summary := await summary_of(survey, work.worker, task, team):
        await anyio.to_thread.run_sync(write_whole, Path(work.path), render(survey, summary))
    return Written(path=work.path, files=len(survey.files))


async def _analysis(team: Team, wanted: Wanted, task_id: str) -> Analysis:
    outcome = await team.outcome_of(task_id)
    return analysis_of(wanted, outcome.result, outcome.problem)
