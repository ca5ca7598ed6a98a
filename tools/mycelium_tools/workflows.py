"""Tools for workflows."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from mycelium import Mycelium
from mycelium.models import Workflow, WorkflowMode
from mycelium_tools.arguments import Object, Tasks
from mycelium_tools.lines import compact, short_task_line, workflow_line
from mycelium_tools.records import short_task_record, workflow_record
from mycelium_tools.registry import ADDS, READS, tool
from mycelium_tools.reply import Reply

SHOWN: Final = 100
"""Tasks of a workflow in one reply; `list_tasks` pages through more."""


@tool(ADDS)
async def create_workflow(
    m: Mycelium,
    type: str,
    tasks: Annotated[
        Tasks,
        Field(description="Names, or objects of name and create_task's arguments; depends_on may name siblings"),
    ] = [],  # noqa: B006  pydantic copies it for each call
    mode: Annotated[WorkflowMode | None, Field(description="Default: dag with any depends_on, else sequential")] = None,
    metadata: Object | None = None,
) -> Reply:
    """Create dependent tasks at once. Returns workflow_id; task ids are WORKFLOW_ID.NAME."""
    workflow = await m.create_workflow(type, tasks, mode=mode, metadata=metadata)
    return await _reply(m, workflow, {"workflow_id": workflow.id})


@tool(READS)
async def get_workflow(m: Mycelium, workflow_id: str) -> Reply:
    """Progress of a workflow, and its tasks."""
    return await _reply(m, await m.get_workflow(workflow_id), {})


async def _reply(m: Mycelium, workflow: Workflow, data: dict[str, Any]) -> Reply:
    tasks = await m.get_tasks(workflow.tasks[:SHOWN])
    lines = [workflow_line(workflow), *(short_task_line(task) for task in tasks)]
    if len(workflow.tasks) > SHOWN:
        lines.append(f"and {len(workflow.tasks) - SHOWN} more: list_tasks workflow_id={workflow.id}")
    lines += [f"{name}: {said}" for name in ("result", "error") if (said := compact(getattr(workflow, name)))]
    records = [short_task_record(task) for task in tasks]
    return Reply("\n".join(lines), {**data, "workflow": workflow_record(workflow), "tasks": records})
