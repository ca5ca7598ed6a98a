"""Running the demo from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import anyio
from rich.console import Console

from mycelium import Mycelium
from mycelium.errors import InvalidInput
from mycelium.models import Workflow, WorkflowStatus
from mycelium_server.connect import connecting_lines
from mycelium_server.demo.analysis import TOOL, longest
from mycelium_server.demo.crew import MOST, NAMES, crew
from mycelium_server.demo.files import list_python_files
from mycelium_server.demo.follow import Follower
from mycelium_server.demo.hired import CONFIG_FILE, Terms, configuration_for, hired
from mycelium_server.demo.place import new_place, target_at
from mycelium_server.demo.show import Screen, shown
from mycelium_server.demo.state import State
from mycelium_server.demo.summary import read_survey, say, summarize
from mycelium_server.demo.survey import WORKFLOW, Target, Worker, analysed, parts_for, survey_tasks

if TYPE_CHECKING:
    from mycelium_server.assembly.corner import Corner

WORKER: Final = "worker"
"""Its name, unless somebody has it."""
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
    place: Path
    report: Path
    pace: float

    @property
    def agents_log(self) -> Path:
        """Where agents say what goes wrong."""
        return self.place / "agents.log"

    @property
    def worker_log(self) -> Path:
        """Where the worker says what it does."""
        return self.place / "worker.log"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a survey ended."""

    workflow: Workflow
    status: WorkflowStatus
    called_off: bool
    signal: int
    """The signal that ended it, or 0."""


@dataclass(frozen=True, slots=True)
class Team:
    """Who takes part: agents, and a worker for what comes from its queue, or over RabbitMQ."""

    agents: Sequence[str]
    worker: Worker
    corner: Corner | None = None


async def run_demo(
    folder: Path | None = None,
    *,
    agents: int = 3,
    backend: str | None = None,
    report: Path | None = None,
    pace: float | None = None,
    rabbitmq: str | None = None,
    console: Console | None = None,
) -> int:
    """Let `agents` agents and a worker survey the Python files of `folder` (Mycelium's own source, unless given).

    The store is a new one unless `backend` names another; the report goes beside it unless `report` says where.
    The worker takes its tasks from the store, or with `rabbitmq`, the URL of a broker, as messages from there.
    Each measuring task takes `pace` seconds more than it has to: unless given, enough to be watched on a terminal,
    and none elsewhere. Gives the exit code: 0 if the workflow completed, 130 or 143 if a signal ended it, else 1.

    Raises:
        InvalidInput: an argument makes no sense.
        StoreError: the store cannot be opened.
        MyceliumError: the broker cannot be used.
    """
    console = console or Screen()
    if pace is None:
        pace = WATCHABLE if console.is_terminal else 0
    name = f"mycelium-demo-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        corner = await stack.enter_async_context(_corner(rabbitmq, name)) if rabbitmq else None
        plan = await anyio.to_thread.run_sync(_plan, folder, agents, backend, report, pace)
        m = await stack.enter_async_context(Mycelium.open(plan.backend, agent="demo", background=False))
        if corner is not None:
            await _check_is_new(m)
        team = Team(
            await _names(m, NAMES, agents),
            Worker(name=(await _names(m, (WORKER,), 1))[0], queue=None if corner else name),
            corner,
        )
        ending = await _survey(m, plan, team, console)
        await _conclude(m, plan, ending, console)
        if corner is not None:
            await _tell_answers(m, corner, ending, console)
    return 128 + ending.signal if ending.signal else int(ending.status != "completed")


def _corner(url: str, name: str) -> AbstractAsyncContextManager[Corner]:
    from mycelium_server.assembly.corner import corner_at

    return corner_at(url, name)


async def _check_is_new(m: Mycelium) -> None:
    """Over RabbitMQ the store has to be the demo's alone: all that its log tells goes to the demo's exchange.

    Raises:
        InvalidInput: it is in use.
    """
    if await m.last_seq():
        raise InvalidInput(
            "The store is in use, and what happens there would go to the demo's queues.",
            hint="Leave --backend out, or name a new store.",
            fields=["backend", "rabbitmq"],
        )


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
    (place / CONFIG_FILE).write_text("{}\n", encoding="utf-8")
    return Plan(
        target=target,
        backend=backend or f"sqlite:///{place / 'mycelium.db'}",
        place=place,
        report=(report or place / "report.md").absolute(),
        pace=pace,
    )


async def _names(m: Mycelium, names: Sequence[str], count: int) -> list[str]:
    """Some of these names, or much like them, that nobody has who is at work in this store."""
    taken = {agent.name for agent in (await m.list_agents(limit=1000)).records if agent.status != "offline"}
    free = [name for name in names if name not in taken]
    number = 2
    while len(free) < count:
        free += [name for each in names if (name := f"{each}-{number}") not in taken]
        number += 1
    return free[:count]


async def _survey(m: Mycelium, plan: Plan, team: Team, console: Console) -> Ending:
    """Make the workflow, let the team do it, and show it."""
    start = await m.last_seq()
    tasks = await anyio.to_thread.run_sync(_tasks, plan, team.worker)
    workflow = await m.create_workflow(WORKFLOW, tasks, metadata={"folder": plan.target.folder})
    state = State.of(workflow, await m.get_tasks(workflow.tasks), team.agents, team.worker.name)
    url = m.backend.url if plan.backend == "auto" else plan.backend
    async with AsyncExitStack() as stack:
        variables = configuration_for(url, plan.place)
        worker = await stack.enter_async_context(hired(_terms(plan, team, url), plan.worker_log))
        at_work = await stack.enter_async_context(
            crew(team.agents, url, workflow.id, plan.pace, plan.agents_log, variables)
        )
        tell = await stack.enter_async_context(shown(console, title_of(plan.target, team), state))
        follower = Follower(m, state, tell)
        await follower.follow(start, at_work, worker)
        status, called_off = await _settled(m, workflow.id)
    return Ending(workflow, status, called_off, follower.signal)


def _tasks(plan: Plan, worker: Worker) -> list[dict[str, object]]:
    folder = Path(plan.target.folder)
    listing = list_python_files(folder, plan.target.only)
    to_analyse = analysed(listing, longest(folder, listing.files))
    return survey_tasks(plan.target, parts_for(len(listing.files)), str(plan.report), to_analyse, worker)


def _terms(plan: Plan, team: Team, url: str) -> Terms:
    return Terms(
        name=team.worker.name,
        backend=url,
        folder=plan.target.folder,
        place=plan.place,
        queue=team.worker.queue,
        broker=team.corner.variables if team.corner else {},
    )


def title_of(target: Target, team: Team) -> str:
    """What stands above it all."""
    over = f", over {team.corner.address}" if team.corner else ""
    return f"Mycelium: {len(team.agents)} agents and a worker survey {target.name}{over}"


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
        summarize(console, await read_survey(m, ending.workflow.tasks))
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


async def _tell_answers(m: Mycelium, corner: Corner, ending: Ending, console: Console) -> None:
    """Say how many of the worker's answers came over the broker."""
    tasks = await m.get_tasks(ending.workflow.tasks)
    done = sum(task.type == TOOL and task.status == "completed" for task in tasks)
    answers = await corner.answered(f"{TOOL}_result", 0 if ending.signal else done)
    say(console, f"RabbitMQ  {corner.address}: {answers} of {done} analyses were answered there")


def _trouble(plan: Plan, ending: Ending) -> str:
    if ending.signal:
        return "The survey was stopped."
    if ending.status == "cancelled":
        return f"The survey is not whole: no worker was left for its part. {plan.worker_log} says more."
    why = "no agent was left to go on" if ending.called_off else "some of its tasks failed"
    more = f" {plan.agents_log} says more." if plan.agents_log.stat().st_size else ""
    return f"The survey failed: {why}.{more}"
