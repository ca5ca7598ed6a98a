"""A task: a unit of work with a type, a payload, dependencies and one outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, JsonValue

from mycelium.models.base import START_OF_TIME, Count, Id, JsonObject, Line, Model, Moment, Record
from mycelium.models.spec import Priority, Seconds, TaskSpec, WorkflowSpec

TaskStatus = Literal["pending", "running", "completed", "failed", "cancelled", "skipped"]

PRIORITY_RANK: Final[Mapping[Priority, int]] = MappingProxyType({"low": 0, "normal": 1, "high": 2, "critical": 3})
OPEN: Final[frozenset[TaskStatus]] = frozenset({"pending", "running"})
TRANSITIONS: Final[Mapping[TaskStatus, frozenset[TaskStatus]]] = MappingProxyType(
    {
        "pending": frozenset({"running", "failed", "cancelled", "skipped"}),
        "running": frozenset({"pending", "completed", "failed", "cancelled"}),
        "completed": frozenset(),
        "failed": frozenset({"pending"}),
        "cancelled": frozenset({"pending"}),
        "skipped": frozenset({"pending"}),
    }
)
"""From each status, the statuses it may change to. `docs/state-machines.md` is drawn from this table.

Only a retry, of it or of its workflow, takes a task back from an outcome; a pending one fails where its values cannot
be had.
"""


class Lease(Model):
    """The right to finish a task until `expires_at`. A later lease of the same task has a higher token."""

    agent: Id
    token: Count
    expires_at: Moment
    seconds: Seconds


class Approval(Model):
    """A person's yes."""

    by: Line
    at: Moment
    note: Line = ""


class Spent(Model):
    """What a task has used up of its budget, over all its attempts."""

    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Of the attempts that have ended."""
    tokens: Count | None = None
    """None where nobody has said it."""
    turns: Count | None = None


class Task(TaskSpec, Record):
    """A task as the store keeps it. Times are UTC, durations are seconds.

    A field that has its default is not written to the store, so a default never changes its meaning.
    """

    kind: ClassVar[str] = "task"

    id: Id
    status: TaskStatus = "pending"
    blocked: bool = False
    """Pending, and waiting on dependencies."""
    paused: bool = False
    """Pending in a workflow that is paused."""
    approved: Approval | None = None
    template: JsonObject | None = None
    """The payload as it was declared, where that refers to values that were not there yet."""
    workflow_id: Id | None = None
    for_each: JsonValue = None
    workflow: WorkflowSpec | None = None
    undo: TaskSpec | None = None
    runs: Id | None = None
    """The workflow that does this task, in place of an agent."""
    hops: Count = 0
    """How many triggers in a row led to it."""
    created_by: Id | None = None
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None = None
    """When the present attempt began."""
    progress: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0
    note: Line = ""
    attempt: Count = 0
    """How often it was claimed and not released."""
    token: Count = 0
    """The token of its last lease."""
    lease: Lease | None = None
    spent: Spent | None = None
    result: JsonObject | None = None
    error: JsonObject | None = None

    @classmethod
    def of(cls, spec: TaskSpec, *, id: str, created_at: datetime, **fields: object) -> Task:
        """A task as the spec wants it. All values are valid already, so nothing is checked again."""
        said = spec.__dict__
        wanted = {name: said[name] for name in _WANTED}
        return _BLANK.altered(**{**wanted, "id": id, "created_at": created_at, "updated_at": created_at, **fields})

    @property
    def key(self) -> str:
        return self.id

    @property
    def open(self) -> bool:
        """Whether it has no outcome yet."""
        return self.status in OPEN

    @property
    def agent(self) -> str | None:
        """Who holds it now."""
        return self.lease.agent if self.lease else None

    @property
    def holds_work(self) -> bool:
        """Whether it is done by a workflow of its own, in place of an agent."""
        return self.for_each is not None or self.workflow is not None

    @property
    def lane(self) -> str:
        """What claims are matched by: its queue and the capabilities it needs, as JSON; empty for neither."""
        if self.queue is None and not self.capabilities:
            return ""
        return json.dumps([self.queue or "", *sorted(set(self.capabilities))])

    @property
    def awaits_approval(self) -> bool:
        """Whether a person's yes is missing."""
        return self.approval is not None and self.approved is None

    @property
    def unhindered(self) -> bool:
        """Whether it has not begun, and nothing but time stands in the way."""
        return self.status == "pending" and not (self.blocked or self.paused or self.awaits_approval)

    @property
    def claimable_from(self) -> datetime | None:
        """From when on it may be claimed, or None while something other than time stands in the way."""
        return (self.not_before or START_OF_TIME) if self.unhindered and not self.holds_work else None

    @property
    def times_out_at(self) -> datetime | None:
        """When the present attempt has taken too long, or the task has used up its seconds."""
        if self.started_at is None or self.for_each is not None or (self.paused and self.runs is not None):
            return None  # the work that others do for it stands still while it is paused
        limits = [] if self.timeout_seconds is None else [self.timeout_seconds]
        if self.budget is not None and self.budget.seconds is not None:
            limits.append(max(0.0, self.budget.seconds - (self.spent.seconds if self.spent else 0.0)))
        return self.started_at + timedelta(seconds=min(limits)) if limits else None

    @property
    def due_at(self) -> datetime | None:
        if self.status == "running":
            ends = [at for at in (self.lease and self.lease.expires_at, self.times_out_at) if at is not None]
            return min(ends, default=None)
        return self.not_before if self.unhindered else None

    def ready(self, now: datetime) -> bool:
        """Whether it waits on nothing but somebody to claim it."""
        since = self.claimable_from
        return since is not None and since <= now


_WANTED: Final = tuple(TaskSpec.model_fields)
_BLANK: Final = Task.model_construct(id="", type="", created_at=START_OF_TIME, updated_at=START_OF_TIME)
"""What `Task.of` copies: three times as fast as building a task field by field."""


def lane_fits(lane: str, queues: tuple[str, ...], capabilities: frozenset[str]) -> bool:
    """Whether tasks of this lane are for an agent with these capabilities that claims from these queues (none: all)."""
    if not lane:
        return not queues
    queue, *needed = json.loads(lane)
    return (not queues or queue in queues) and capabilities.issuperset(needed)
