"""Tools for workflows."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from mycelium import Mycelium
from mycelium.errors import InvalidInput
from mycelium.models import OnFailure, Workflow, WorkflowMode, WorkflowStatus
from mycelium_tools.arguments import Number, Object, Tasks, TextOrObject, Whole
from mycelium_tools.lines import listed_workflow, short_task_line, workflow_line
from mycelium_tools.paging import fitting, full_page
from mycelium_tools.records import short_task_record, short_workflow_record, workflow_record
from mycelium_tools.registry import ADDS, ENDS, READS, SETS, tool
from mycelium_tools.reply import Reply
from mycelium_tools.waiting import outcome_lines

SHOWN: Final = 100
"""Tasks of a workflow in one reply; `list_tasks` pages through more."""

Control: TypeAlias = Literal["pause", "resume", "cancel", "retry"]


@tool(ADDS)
async def create_workflow(
    m: Mycelium,
    type: str,
    tasks: Annotated[
        Tasks,
        Field(
            description="Names, or objects of name and create_task's arguments; depends_on may name siblings. Also: "
            "for_each, condition {path, op, value}, workflow, undo (tasks of their own). "
            'Payloads may hold {"$from": "a.result.x"}'
        ),
    ] = [],  # noqa: B006  pydantic copies it for each call
    mode: Annotated[WorkflowMode | None, Field(description="Default: dag with any depends_on, else sequential")] = None,
    metadata: Object | None = None,
    on_failure: OnFailure = "continue",
    timeout_seconds: Number | None = None,
) -> Reply:
    """Create dependent tasks at once. Returns workflow_id; task ids are WORKFLOW_ID.NAME."""
    workflow = await m.create_workflow(
        type, tasks, mode=mode, metadata=metadata, on_failure=on_failure, timeout_seconds=timeout_seconds
    )
    return await _reply(m, workflow, {"workflow_id": workflow.id})


@tool(READS)
async def get_workflow(m: Mycelium, workflow_id: str) -> Reply:
    """Progress of a workflow, and its tasks."""
    return await _reply(m, await m.get_workflow(workflow_id), {})


@tool(READS)
async def list_workflows(
    m: Mycelium, status: WorkflowStatus | None = None, limit: Whole = 20, cursor: str | None = None
) -> Reply:
    """Workflows, newest first, with progress and error."""
    page = await full_page(
        lambda number: m.list_workflows(status=status, limit=number, cursor=cursor),
        limit,
        lambda workflows: fitting(map(short_workflow_record, workflows)),
    )
    lines = [listed_workflow(workflow) for workflow in page.records] or ["No such workflows."]
    data: dict[str, Any] = {"workflows": [short_workflow_record(workflow) for workflow in page.records]}
    if page.cursor:
        lines.append(f"more: cursor={page.cursor}")
        data["cursor"] = page.cursor
    return Reply("\n".join(lines), data)


@tool(SETS)
async def update_workflow(
    m: Mycelium,
    workflow_id: str,
    progress: Annotated[Number | None, Field(description="0 to 1")] = None,
    current_task: Annotated[str | None, Field(description="What is done now")] = None,
) -> Reply:
    """Say how far a workflow without tasks is, which you drive by hand."""
    return _line(await m.update_workflow(workflow_id, progress=progress, current_task=current_task))


@tool(ENDS)
async def complete_workflow(m: Mycelium, workflow_id: str, result: Object | None = None) -> Reply:
    """Finish a workflow by hand, with its result. Tasks of it that are still open are cancelled."""
    return _line(await m.complete_workflow(workflow_id, result))


@tool(ENDS)
async def fail_workflow(m: Mycelium, workflow_id: str, error: TextOrObject) -> Reply:
    """End a workflow by hand as failed. Tasks of it that are still open are cancelled."""
    return _line(await m.fail_workflow(workflow_id, error))


@tool(ENDS)
async def control_workflow(
    m: Mycelium,
    workflow_id: str,
    action: Control,
    reason: Annotated[str | None, Field(description="Of cancel")] = None,
) -> Reply:
    """Pause a workflow, resume it, cancel it with its open tasks, or retry what of it was not completed."""
    return _line(await controlled(m, workflow_id, action, reason=reason))


async def controlled(m: Mycelium, workflow_id: str, action: Control, *, reason: str | None = None) -> Workflow:
    """The workflow after this.

    Raises:
        InvalidInput: there is a `reason` for something else than `cancel`, which alone keeps it.
    """
    if reason is not None and action != "cancel":
        raise InvalidInput(f"{action} takes no reason.", hint="Publish an event to tell others why.", fields=["reason"])
    match action:
        case "pause":
            return await m.pause_workflow(workflow_id)
        case "resume":
            return await m.resume_workflow(workflow_id)
        case "cancel":
            return await m.cancel_workflow(workflow_id, reason)
        case "retry":
            return await m.retry_workflow(workflow_id)


def _line(workflow: Workflow) -> Reply:
    return Reply(workflow_line(workflow), {"workflow": workflow_record(workflow)})


async def _reply(m: Mycelium, workflow: Workflow, data: dict[str, Any]) -> Reply:
    tasks = await m.get_tasks(workflow.tasks[:SHOWN])
    lines = [workflow_line(workflow), *(short_task_line(task) for task in tasks)]
    if len(workflow.tasks) > SHOWN:
        lines.append(f"and {len(workflow.tasks) - SHOWN} more: list_tasks workflow_id={workflow.id}")
    lines += outcome_lines(workflow)
    records = [short_task_record(task) for task in tasks]
    return Reply("\n".join(lines), {**data, "workflow": workflow_record(workflow), "tasks": records})
