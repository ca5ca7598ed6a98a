"""What can be asked of a store, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from mycelium.models.agent import Agent, AgentStatus
from mycelium.models.base import Record
from mycelium.models.event import Event
from mycelium.models.keeper import Keeper
from mycelium.models.spec import Priority
from mycelium.models.task import Task, TaskStatus
from mycelium.models.trigger import Trigger, TriggerStatus
from mycelium.models.workflow import Workflow, WorkflowStatus

R_co = TypeVar("R_co", bound=Record, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Generic[R_co]):
    """Records of one kind, newest first, `limit` at a time; `cursor` is where the last page ended."""

    limit: int = 20
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery(Query[Task]):
    """Tasks that match every filter that is set."""

    status: TaskStatus | None = None
    ready: bool = False
    """Only those that could be claimed at once."""
    assigned_to: str | None = None
    held_by: str | None = None
    """The agent that holds the lease."""
    workflow_id: str | None = None
    search: str | None = None
    """Text within id, type or title, in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentQuery(Query[Agent]):
    """Agents, by name."""

    status: AgentStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowQuery(Query[Workflow]):
    """Workflows that match every filter that is set."""

    status: WorkflowStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerQuery(Query[Trigger]):
    """Triggers that match every filter that is set."""

    status: TriggerStatus | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[R_co]):
    """Some records, and where the next page begins (None at the end)."""

    records: list[R_co]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Events with `seq` above `after`, oldest first; `channels` empty means all.

    `newest` asks for the last `limit` of them instead of the first.
    """

    after: int = 0
    channels: tuple[str, ...] = ()
    limit: int = 100
    newest: bool = False


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, and the cursor to read on from."""

    events: list[Event]
    cursor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Who wants a task, and which it could take; `types` and `queues` empty mean any."""

    agent: str
    seconds: float
    types: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    """What the agent can do: a task that needs something else is not for it."""
    addressed: bool = False
    """Only tasks that are not for just anyone: assigned to the agent, or in a lane."""


@dataclass(frozen=True, slots=True)
class Due:
    """Records whose time has come, and when the next one's will."""

    records: list[Record]
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts of what a store holds."""

    mode: str
    url: str
    instead_of: str | None = None
    """The stores that were passed over for this one, and why; None where none was."""
    tasks: Mapping[TaskStatus, int] = field(default_factory=dict[TaskStatus, int])
    ready: int = 0
    """How many tasks could be claimed now."""
    queues: Mapping[Priority, int] = field(default_factory=dict[Priority, int])
    """How many of them are of each priority; one that has none may be left out."""
    agents: Mapping[AgentStatus, int] = field(default_factory=dict[AgentStatus, int])
    workflows: Mapping[WorkflowStatus, int] = field(default_factory=dict[WorkflowStatus, int])
    triggers: Mapping[TriggerStatus, int] = field(default_factory=dict[TriggerStatus, int])
    last_seq: int = 0
    """The number of the newest event."""
    housekeeper: Keeper | None = None
    """Who does what time and events bring, and how much of it was done; None where nobody has begun to."""
    bytes: int | None = None
    """What it takes on disk, where it is on a disk."""
    avg_latency: float | None = None
    """Milliseconds that the last calls of the client that asks took in the store, on average; None before the first."""

    @property
    def agent_count(self) -> int:
        """How many agents are there: all but those that are offline."""
        return sum(count for status, count in self.agents.items() if status != "offline")

    @property
    def task_queue_size(self) -> int:
        """How many tasks wait to be claimed, in all queues."""
        return self.ready
