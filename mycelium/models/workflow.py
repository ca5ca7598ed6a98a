"""A workflow: a named set of tasks with dependencies, and their joint outcome."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from mycelium.models.base import MAX_SECONDS, Count, Id, JsonObject, Label, Line, Moment, Record
from mycelium.models.spec import OnFailure, WorkflowMode

WorkflowStatus = Literal["running", "paused", "compensating", "completed", "failed", "cancelled"]
GOING_ON: Final[frozenset[WorkflowStatus]] = frozenset({"running", "paused", "compensating"})
"""The statuses of a workflow that has no outcome yet."""
WORKFLOW_TRANSITIONS: Final[Mapping[WorkflowStatus, frozenset[WorkflowStatus]]] = MappingProxyType(
    {
        "running": frozenset({"paused", "compensating", "completed", "failed", "cancelled"}),
        "paused": frozenset({"running", "compensating", "completed", "failed", "cancelled"}),
        "compensating": frozenset({"failed", "cancelled"}),
        "completed": frozenset(),
        "failed": frozenset({"running"}),
        "cancelled": frozenset({"running"}),
    }
)


class Workflow(Record):
    """A workflow as the store keeps it.

    `progress` (0 to 1) and `current_task` follow the tasks and are worked out when it is read, unless an agent
    drives it by hand with `update_workflow`.
    """

    kind: ClassVar[str] = "workflow"

    id: Id
    type: Label
    mode: WorkflowMode = "sequential"
    status: WorkflowStatus = "running"
    tasks: tuple[Id, ...] = ()
    """The ids of its tasks, in the order they were declared."""
    on_failure: OnFailure = "continue"
    """What a task that has failed for good means for the others: nothing, their end, or that they are undone."""
    parent: Id | None = None
    """The task that this workflow does."""
    driver: Id | None = None
    """The agent that drives it by hand."""
    timeout_at: Moment | None = None
    """When it has taken too long; None while it is paused."""
    seconds_left: Annotated[float, Field(ge=0, le=MAX_SECONDS)] | None = None
    """What was left of its time when it was paused."""
    hops: Count = 0
    """How many triggers in a row led to it."""
    progress: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0
    current_task: Line | None = None
    result: JsonObject | None = None
    error: JsonObject | None = None
    metadata: JsonObject = {}
    created_by: Id | None = None
    created_at: Moment
    updated_at: Moment

    @property
    def key(self) -> str:
        return self.id

    @property
    def going_on(self) -> bool:
        """Whether it has no outcome yet."""
        return self.status in GOING_ON

    @property
    def due_at(self) -> datetime | None:
        return self.timeout_at if self.going_on else None
