"""Running the demo from beginning to end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from rich.console import Console

from mycelium import Mycelium
from mycelium.errors import InvalidInput
from mycelium.models import Workflow, WorkflowStatus
from mycelium_server.connect import connecting_lines
from mycelium_server.demo.crew import MOST, NAMES, crew
from mycelium_server.demo.files import list_python_files
from mycelium_server.demo.follow import Follower
from mycelium_server.demo.place import new_place, target_at
from mycelium_server.demo.show import Screen, shown
from mycelium_server.demo.state import State
from mycelium_server.demo.summary import read_survey, say, summarize
from mycelium_server.demo.survey import WORKFLOW, Target, parts_for, survey_tasks

WATCHABLE: Final = 0.5
"""Seconds; without them an agent measures a file faster than anyone can see."""
MOST_PACE: Final = 60.0
GIVE_UP_WITHIN: Final = 5.0
"""Seconds for calling the workflow off."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is settled before the first agent comes."""

    target: Target
    backend: str
    report: Path
    log: Path
    pace: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a survey ended."""

    workflow: Workflow
    status: WorkflowStatus
    called_off: bool
    signal: int
    """The signal that ended it, or 0."""


async def run_demo(
    folder: Path | None = None,
    *,
    agents: int = 3,
    backend: str | None = None,
    report: Path | None = None,
    pace: float | None = None,
    console: Console | None = None,
) -> int:
    """Let `agents` agents survey the Python files of `folder` (Mycelium's own source, unless given) and show it.

    The store is a new one unless `backend` names another; the report goes beside it unless `report` says where.
    Each measuring task takes `pace` seconds more than it has to: unless given, enough to be watched on a terminal,
    and none elsewhere. Gives the exit code: 0 if the workflow completed, 130 or 143 if a signal ended it, else 1.

    Raises:
        InvalidInput: an argument makes no sense.
        StoreError: the store cannot be opened.
    """
    console = console or Screen()
    if pace is None:
        pace = WATCHABLE if console.is_terminal else 0
    plan = await anyio.to_thread.run_sync(_plan, folder, agents, backend, report, pace)
    async with Mycelium.open(plan.backend, agent="demo", background=False) as m:
        ending = await _survey(m, plan, await _names(m, agents), console)
        await _conclude(m, plan, ending, console)
    return 128 + ending.signal if ending.signal else int(ending.status != "completed")


def _plan(folder: Path | None, agents: int, backend: str | None, report: Path | None, pace: float) -> Plan:
    if not 1 <= agents <= MOST:
        raise InvalidInput(
            f"{agents} agents are not between 1 and {MOST}.", hint="Choose another number.", fields=["agents"]
        )
    if not 0 <= pace <= MOST_PACE:
        raise InvalidInput(
            f"A pace of {pace:g} seconds is not between 0 and {MOST_PACE:g}.",
            hint="Choose another number.",
            fields=["pace"],
        )
    if backend is not None and backend.startswith("memory:"):
        raise InvalidInput(
            "The demo's agents are processes of their own, and a store in memory belongs to one process.",
            hint="Leave --backend out, or name a file: sqlite:///demo.db.",
            fields=["backend"],
        )
    target = target_at(folder)
    place = new_place(Path.cwd())
    return Plan(
        target=target,
        backend=backend or f"sqlite:///{place / 'mycelium.db'}",
        report=(report or place / "report.md").absolute(),
        log=place / "agents.log",
        pace=pace,
    )


async def _names(m: Mycelium, count: int) -> list[str]:
    """Names that nobody has who is at work in this store."""
    taken = {agent.name for agent in (await m.list_agents(limit=1000)).records if agent.status != "offline"}
    free = [name for name in NAMES if name not in taken]
    number = 2
    while len(free) < count:
        free += [name for each in NAMES if (name := f"{each}-{number}") not in taken]
        number += 1
    return free[:count]


async def _survey(m: Mycelium, plan: Plan, names: list[str], console: Console) -> Ending:
    """Make the workflow, let the agents do it, and show it."""
    listing = await anyio.to_thread.run_sync(list_python_files, Path(plan.target.folder), plan.target.only)
    start = await m.last_seq()
    tasks = survey_tasks(plan.target, parts_for(len(listing.files)), str(plan.report))
    workflow = await m.create_workflow(WORKFLOW, tasks, metadata={"folder": plan.target.folder})
    state = State.of(workflow, await m.get_tasks(workflow.tasks), names)
    title = f"Mycelium: {len(names)} agents survey {plan.target.name}"
    url = m.backend.url if plan.backend == "auto" else plan.backend
    async with AsyncExitStack() as stack:
        at_work = await stack.enter_async_context(crew(names, url, workflow.id, plan.pace, plan.log))
        follower = Follower(m, state, await stack.enter_async_context(shown(console, title, state)))
        await follower.follow(start, at_work)
        status, called_off = await _settled(m, workflow.id)
    return Ending(workflow, status, called_off, follower.signal)


async def _settled(m: Mycelium, workflow_id: str) -> tuple[WorkflowStatus, bool]:
    """How the workflow ended, and whether it had to be called off: nobody works on it any more."""
    with anyio.fail_after(GIVE_UP_WITHIN, shield=True):
        status = (await m.get_workflow(workflow_id)).status
        if status != "running":
            return status, False
        return (await m.fail_workflow(workflow_id, "the demo ended before its workflow")).status, True


async def _conclude(m: Mycelium, plan: Plan, ending: Ending, console: Console) -> None:
    """Say what was found, where it stands, and how to go on."""
    if not ending.signal:
        summarize(console, await read_survey(m, plan.target, ending.workflow.tasks))
    console.print()
    if ending.status != "completed":
        say(console, _trouble(plan, ending), style="red")
    if plan.report.exists():
        say(console, f"Report    {plan.report}")
    say(console, f"Store     {m.backend.url}")
    say(console, f"Workflow  mycelium workflow {ending.workflow.id} --backend {m.backend.url}")
    if ending.status == "completed":
        say(console, "")
        for line in connecting_lines(m.backend.url).splitlines():
            say(console, line)


def _trouble(plan: Plan, ending: Ending) -> str:
    if ending.signal:
        return "The survey was stopped."
    why = "no agent was left to go on" if ending.called_off else "some of its tasks failed"
    more = f" {plan.log} says more." if plan.log.stat().st_size else ""
    return f"The survey failed: {why}.{more}"
