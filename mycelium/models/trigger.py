"""A trigger: a rule that creates a task or a workflow when something happens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from mycelium.models.agent import AgentStatus
from mycelium.models.base import MAX_SECONDS, Count, Id, Label, Line, Model, Moment, Record
from mycelium.models.spec import TaskSpec, WorkflowSpec
from mycelium.models.values import Condition

TRIGGERS: Final = "triggers:events"
Missed = Literal["skip", "run_once", "run_all"]
TriggerStatus = Literal["active", "done", "stopped"]
Pattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9:._*?-]{1,128}$")]
"""A name, in which `*` stands for any characters and `?` for one."""


def _only_one(model: Model, names: tuple[str, ...]) -> None:
    if sum(getattr(model, name) is not None for name in names) != 1:
        raise PydanticCustomError("choice", "give one of {names}", {"names": ", ".join(names)})


class OnEvent(Model):
    """Every event like this. `where` asks about the event: `data.count`, `source`."""

    channel: Pattern = "*"
    type: Pattern = "*"
    source: Pattern | None = None
    where: Condition | None = None


class OnSchedule(Model):
    """Times: a cron line in a time zone, an interval, or one moment.

    `missed` says what becomes of ticks that nobody was there for: nothing, one for all of them, or each.
    """

    cron: Annotated[str, Field(max_length=200)] | None = None
    timezone: Annotated[str, Field(max_length=100)] = "UTC"
    every_seconds: Annotated[float, Field(ge=1, le=MAX_SECONDS, strict=True)] | None = None
    at: Moment | None = None
    missed: Missed = "run_once"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        _only_one(self, ("cron", "every_seconds", "at"))
        return self


class OnStatistic(Model):
    """A number of `get_stats` that crosses a threshold, such as `ready`, `tasks.failed` or `queues.critical`.

    It fires when the comparison begins to hold, and again only after it has ceased to.
    """

    statistic: Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)?$")]
    op: Literal[">", ">=", "<", "<=", "=="] = ">"
    value: float


class OnAgent(Model):
    """An agent that changes its status."""

    agent: Pattern = "*"
    status: AgentStatus


class When(Model):
    """What a trigger waits for: one of these."""

    event: OnEvent | None = None
    schedule: OnSchedule | None = None
    statistic: OnStatistic | None = None
    agent: OnAgent | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        _only_one(self, ("event", "schedule", "statistic", "agent"))
        return self


class Then(Model):
    """What a trigger creates: a task or a workflow. `{"$from": "cause.…"}` in a payload is a part of the cause."""

    task: TaskSpec | None = None
    workflow: WorkflowSpec | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        _only_one(self, ("task", "workflow"))
        return self


class Cause(Model):
    """What made a trigger fire."""

    id: Annotated[str, Field(max_length=256)]
    """Unique among the causes of one trigger."""
    about: dict[str, JsonValue]
    """What templates see as `cause`."""
    hops: Count = 0
    """How many triggers in a row led to it."""


class Trigger(Record):
    """A trigger as the store keeps it."""

    kind: ClassVar[str] = "trigger"

    id: Id
    when: When
    then: Then
    status: TriggerStatus = "active"
    times: Annotated[int, Field(ge=1, lt=2**63, strict=True)] | None = None
    """How often it may fire; None: without end."""
    fired: Count = 0
    last_fired_at: Moment | None = None
    next_at: Moment | None = None
    """When a schedule ticks next."""
    seq: Count = 0
    """The last event that it has been asked about and fired for; earlier ones never make it fire."""
    armed: bool = True
    """Whether a statistic has been on the other side of its threshold since it fired."""
    error: Line | None = None
    """Why it was stopped, or what its last firing failed at."""
    created_by: Label | None = None
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        return self.id

    @property
    def due_at(self) -> datetime | None:
        return self.next_at if self.status == "active" else None
