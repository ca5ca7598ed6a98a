"""A task: a unit of work with a type, a payload, dependencies and one outcome."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field

from mycelium.models.base import MAX_SECONDS, START_OF_TIME, Count, Id, JsonObject, Label, Line, Model, Moment, Record

TaskStatus = Literal["pending", "running", "completed", "failed", "cancelled", "skipped"]
Priority = Literal["low", "normal", "high", "critical"]
RunWhen = Literal["all_succeeded", "all_done", "any_failed"]

PRIORITY_RANK: Final[Mapping[Priority, int]] = MappingProxyType({"low": 0, "normal": 1, "high": 2, "critical": 3})
OPEN: Final[frozenset[TaskStatus]] = frozenset({"pending", "running"})
TRANSITIONS: Final[Mapping[TaskStatus, frozenset[TaskStatus]]] = MappingProxyType(
    {
        "pending": frozenset({"running", "cancelled", "skipped"}),
        "running": frozenset({"pending", "completed", "failed", "cancelled"}),
        "completed": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
        "skipped": frozenset(),
    }
)
"""From each status, the statuses it may change to. `docs/state-machines.md` is drawn from this table."""

MAX_DEPENDENCIES: Final = 10_000
"""A task may wait on this many others."""


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, strict=True)]


class Lease(Model):
    """The right to finish a task until `expires_at`. A later lease of the same task has a higher token."""

    agent: Id
    token: Count
    expires_at: Moment
    seconds: Seconds


class TaskSpec(Model):
    """What a caller says of a task to create. `depends_on` names tasks of the store, by id."""

    type: Label
    title: Line = ""
    payload: JsonObject = {}
    assigned_to: Id | None = None
    depends_on: Annotated[tuple[Id, ...], Field(max_length=MAX_DEPENDENCIES)] = ()
    priority: Priority = "normal"
    run_when: RunWhen = "all_succeeded"
    max_attempts: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    retry_backoff: Annotated[float, Field(ge=0, le=MAX_SECONDS, strict=True)] = 1.0
    timeout_seconds: Seconds | None = None
    not_before: Annotated[Moment, AfterValidator(_in_utc)] | None = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=256)] | None = None


class Task(TaskSpec, Record):
    """A task as the store keeps it. Times are UTC, durations are seconds.

    A field that has its default is not written to the store, so a default never changes its meaning.
    """

    kind: ClassVar[str] = "task"

    id: Id
    status: TaskStatus = "pending"
    blocked: bool = False
    """Pending, and waiting on dependencies."""
    workflow_id: Id | None = None
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
    result: JsonObject | None = None
    error: JsonObject | None = None

    @classmethod
    def of(cls, spec: TaskSpec, *, id: str, created_at: datetime, **fields: object) -> Task:
        """A task as the spec wants it. All values are valid already, so nothing is checked again."""
        wanted = {name: getattr(spec, name) for name in TaskSpec.model_fields}
        return _BLANK.model_copy(
            update={**wanted, "id": id, "created_at": created_at, "updated_at": created_at, **fields}
        )

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
    def claimable_from(self) -> datetime | None:
        """From when on it may be claimed, or None while something other than time stands in the way."""
        if self.status != "pending" or self.blocked:
            return None
        return self.not_before or START_OF_TIME

    @property
    def times_out_at(self) -> datetime | None:
        """When the present attempt has taken too long."""
        if self.started_at is None or self.timeout_seconds is None:
            return None
        return self.started_at + timedelta(seconds=self.timeout_seconds)

    @property
    def due_at(self) -> datetime | None:
        if self.lease is not None:
            return min(self.lease.expires_at, self.times_out_at or self.lease.expires_at)
        return self.not_before if self.claimable_from else None

    def ready(self, now: datetime) -> bool:
        """Whether it waits on nothing but somebody to claim it."""
        since = self.claimable_from
        return since is not None and since <= now


_BLANK: Final = Task.model_construct(id="", type="", created_at=START_OF_TIME, updated_at=START_OF_TIME)
"""What `Task.of` copies: three times as fast as building a task field by field."""
