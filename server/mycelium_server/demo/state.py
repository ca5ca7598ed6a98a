"""What the live view knows: the state of agents and tasks, worked out from the store's events alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from mycelium.models import Event, Task, TaskStatus, Workflow
from mycelium_server.demo.analysis import TOOL
from mycelium_server.demo.survey import SUMMARY

RECENT: Final = 50

Outcome = Literal["completed", "failed", "cancelled"]


@dataclass(slots=True)
class AgentState:
    """One agent: what it is doing, and what it has done."""

    name: str
    status: str = "starting"
    task_id: str | None = None
    done: int = 0
    awaited: bool = True
    """Whether the others begin only when it has come."""


@dataclass(slots=True)
class TaskState:
    """One task of the workflow."""

    id: str
    name: str
    title: str
    status: TaskStatus
    progress: float = 0.0
    note: str = ""
    agent: str | None = None
    """Who works on it, or did it."""
    about: str = ""
    """What it is about, as long as there is no note."""

    @property
    def said(self) -> str:
        return self.note or self.about


@dataclass(slots=True)
class Happening:
    """One line of news."""

    time: datetime
    agent: str | None
    text: str


@dataclass(slots=True)
class State:
    """The survey as far as its events tell."""

    workflow_id: str
    agents: dict[str, AgentState]
    tasks: dict[str, TaskState]
    outcome: Outcome | None = None
    recent: deque[Happening] = field(default_factory=lambda: deque[Happening](maxlen=RECENT))

    @classmethod
    def of(cls, workflow: Workflow, tasks: Iterable[Task], agents: Iterable[str], worker: str | None = None) -> State:
        """The state before any agent came, or the worker."""
        team = {name: AgentState(name) for name in agents}
        if worker is not None:
            team[worker] = AgentState(worker, awaited=False)
        found = {
            task.id: TaskState(
                task.id,
                task.id.removeprefix(f"{workflow.id}."),
                task.title,
                task.status,
                about=task.title.lower() if task.type == TOOL else "",
            )
            for task in tasks
        }
        return cls(workflow.id, team, found)

    @property
    def gathered(self) -> bool:
        """Whether every agent has come, were it only to leave again."""
        return not any(agent.status == "starting" and agent.awaited for agent in self.agents.values())

    @property
    def ended(self) -> int:
        """How many tasks have their outcome."""
        return sum(task.status not in ("pending", "running") for task in self.tasks.values())

    @property
    def progress(self) -> float:
        """0 to 1, over all tasks."""
        return sum(_share(task) for task in self.tasks.values()) / len(self.tasks)

    def running(self) -> list[TaskState]:
        return [task for task in self.tasks.values() if task.status == "running"]

    def apply(self, event: Event) -> Happening | None:
        """Take in an event; what there is to tell of it, if it is one of this survey's."""
        told = self._agent(event) or self._task(event) or self._workflow(event)
        if told is None:
            return None
        happening = Happening(event.time, event.source, told)
        self.recent.append(happening)
        return happening

    def _agent(self, event: Event) -> str | None:
        agent = self.agents.get(str(event.data.get("agent")))
        if event.type != "agent.status" or agent is None:
            return None
        status, before = str(event.data["status"]), agent.status
        agent.status = status
        if status == "offline":
            agent.task_id = None
            return "left"
        return "joined" if before in ("starting", "offline") else None

    def _task(self, event: Event) -> str | None:
        self._add_summary(event)
        task = self.tasks.get(str(event.data.get("task_id")))
        if task is None:
            return None
        match event.type:
            case "task.started":
                self._begin(task, event)
                return f"claimed {task.name}"
            case "task.progress":
                task.progress = float(str(event.data.get("progress", 0)))
                task.note = str(event.data.get("note") or task.note)
                return None
            case "task.completed":
                self._end(task, "completed")
                if (agent := self.agents.get(task.agent or "")) is not None:
                    agent.done += 1
                return f"finished {task.name}" + (f": {task.said}" if task.said else "")
            case "task.failed" | "task.cancelled" | "task.skipped" as type:
                self._end(task, _status(type))
                return f"{task.name} {_status(type)}" + _why(event)
            case "task.released" | "task.expired" | "task.retrying" as type:
                self._end(task, "pending")
                if (holder := self.agents.get(str(event.data.get("holder")))) is not None:
                    holder.status = "lost"
                return f"{task.name} {GIVEN_BACK[type]}" + _why(event)
            case _:
                return None

    def _add_summary(self, event: Event) -> None:
        """The one task that comes later, asked for by the agent that reports. That agent's own stays the last."""
        id = str(event.data.get("task_id"))
        if event.type != "task.created" or event.data.get("task_type") != SUMMARY or event.source not in self.agents:
            return
        *others, last = self.tasks.items()
        summary = TaskState(id, "summary", str(event.data.get("title") or "summary"), "pending")
        self.tasks = dict([*others, (id, summary), last])

    def _begin(self, task: TaskState, event: Event) -> None:
        task.status, task.agent, task.progress, task.note = "running", event.source, 0.0, ""
        if (agent := self.agents.get(event.source or "")) is not None:
            agent.task_id = task.id

    def _end(self, task: TaskState, status: TaskStatus) -> None:
        task.status = status
        task.progress = 1.0 if status == "completed" else 0.0
        for agent in self.agents.values():
            if agent.task_id == task.id:
                agent.task_id = None

    def _workflow(self, event: Event) -> str | None:
        if event.data.get("workflow_id") != self.workflow_id:
            return None
        match event.type:
            case "workflow.completed":
                self.outcome = "completed"
            case "workflow.failed":
                self.outcome = "failed"
            case "workflow.cancelled":
                self.outcome = "cancelled"
            case _:
                return None
        return f"the workflow is {self.outcome}"


GIVEN_BACK: Final = {
    "task.released": "was given back",
    "task.expired": "came back: its lease ran out",
    "task.retrying": "failed and will be tried again",
}


def _share(task: TaskState) -> float:
    return task.progress if task.status in ("pending", "running") else 1.0


def _status(type: str) -> TaskStatus:
    match type:
        case "task.failed":
            return "failed"
        case "task.cancelled":
            return "cancelled"
        case _:
            return "skipped"


def _why(event: Event) -> str:
    why = event.data.get("error") or event.data.get("reason")
    return f" ({why})" if why else ""
