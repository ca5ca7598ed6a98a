"""A workflow: a named set of tasks with dependencies, and their joint outcome."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from mycelium.models.base import Id, JsonObject, Label, Line, Moment, Record
from mycelium.models.task import TaskSpec

WorkflowMode = Literal["sequential", "parallel", "dag"]
WorkflowStatus = Literal["running", "completed", "failed", "cancelled"]
WORKFLOW_TRANSITIONS: Final[Mapping[WorkflowStatus, frozenset[WorkflowStatus]]] = MappingProxyType(
    {
        "running": frozenset({"completed", "failed", "cancelled"}),
        "completed": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }
)

MAX_TASKS: Final = 10_000
"""A workflow may have this many tasks: they are created in one transaction, for which all others wait."""


class WorkflowTask(TaskSpec):
    """A task within a workflow. `depends_on` may name its siblings, or any task of the store by id."""

    name: Id
    type: Label = ""
    """The name, where no type is given."""


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
