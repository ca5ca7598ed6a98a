"""What callers say of the tasks and workflows they want."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mycelium.models.base import MAX_SECONDS, Count, Id, JsonObject, JsonWithin, Label, Line, Model, Moment
from mycelium.models.values import Condition

Priority = Literal["low", "normal", "high", "critical"]
RunWhen = Literal["all_succeeded", "all_done", "any_failed"]
WorkflowMode = Literal["sequential", "parallel", "dag"]
OnFailure = Literal["continue", "stop", "compensate"]

MAX_DEPENDENCIES: Final = 10_000
"""A task may wait on this many others."""
MAX_TASKS: Final = 10_000
"""A workflow may have this many tasks: they are created in one transaction, for which all others wait."""
MAX_DEPTH: Final = 10
"""So many workflows may be within each other: ids grow with each, and readers of JSON refuse to go deeper than 200."""


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, strict=True)]


class Budget(Model):
    """How much a task may use up, over all its attempts. What is not named is not limited."""

    seconds: Seconds | None = None
    tokens: Count | None = None
    turns: Count | None = None


class TaskSpec(Model):
    """What a caller says of a task to create. `depends_on` names tasks of the store, by id."""

    type: Label
    title: Line = ""
    payload: JsonObject = {}
    assigned_to: Id | None = None
    depends_on: Annotated[tuple[Id, ...], Field(max_length=MAX_DEPENDENCIES)] = ()
    priority: Priority = "normal"
    queue: Label | None = None
    """Those who claim from named queues find it only there."""
    capabilities: Annotated[tuple[Label, ...], Field(max_length=50)] = ()
    """What an agent must have, all of it, to claim the task."""
    run_when: RunWhen = "all_succeeded"
    condition: Condition | None = None
    """Asked when its dependencies have ended; where it does not hold, the task is skipped."""
    approval: Annotated[Line, Field(min_length=1)] | None = None
    """What a person is asked, before anybody may claim it."""
    budget: Budget | None = None
    max_attempts: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    retry_backoff: Annotated[float, Field(ge=0, le=MAX_SECONDS, strict=True)] = 1.0
    timeout_seconds: Seconds | None = None
    not_before: Annotated[Moment, AfterValidator(_in_utc)] | None = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=256)] | None = None


def _typed(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class WorkflowTask(TaskSpec):
    """A task within a workflow. `depends_on` may name its siblings, or any task of the store by id."""

    name: Id
    type: Label = ""
    """The name, where no type is given."""
    for_each: JsonWithin = None
    """A list, or a reference to one: the task is done once for each, as a workflow of its own."""
    workflow: WorkflowSpec | None = None
    """What to do instead of handing the task to an agent: a workflow of its own, with the payload as its metadata."""
    undo: Annotated[TaskSpec, BeforeValidator(_typed)] | None = None
    """The task that takes back what this one has done, where the workflow compensates."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_attempts > 1 and self.workflow is not None:
            raise PydanticCustomError("attempts", "max_attempts belongs to the tasks of the workflow within")
        return self

    @property
    def depth(self) -> int:
        """How many workflows it holds within each other."""
        return 0 if self.workflow is None else self.workflow.depth


Tasks = Annotated[tuple[Annotated[WorkflowTask, BeforeValidator(_named)], ...], Field(max_length=MAX_TASKS)]


class WorkflowSpec(Model):
    """What a caller says of a workflow to create; a bare name among `tasks` is a task of that name."""

    type: Label
    tasks: Tasks = ()
    mode: WorkflowMode | None = None
    """Unless given, `dag` where a task has `depends_on`, else `sequential`."""
    metadata: JsonObject = {}
    on_failure: OnFailure = "continue"
    timeout_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _not_too_deep(self) -> Self:
        if self.depth > MAX_DEPTH:
            raise PydanticCustomError("depth", "workflows within workflows, more than {most} deep", {"most": MAX_DEPTH})
        return self

    @cached_property
    def depth(self) -> int:
        """How many workflows there are within each other, with this one."""
        return 1 + max((task.depth for task in self.tasks), default=0)


WorkflowTask.model_rebuild()


def mode_of(spec: WorkflowSpec) -> WorkflowMode:
    """The mode that was given, or else what the tasks suggest."""
    if spec.mode is not None:
        return spec.mode
    return "dag" if any(task.depends_on for task in spec.tasks) else "sequential"
