"""Workflows: declared at once, and driven by hand or held up by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from mycelium.errors import Conflict, IllegalTransition
from mycelium.models import WORKFLOW_TRANSITIONS, WORKFLOWS, Agent, Task, Workflow, WorkflowStatus, WorkflowTask
from mycelium.rules.adding import let_go, to_come
from mycelium.rules.declaring import add_workflow
from mycelium.rules.draft import Draft, about_workflow
from mycelium.rules.ending import close_workflow, open_tasks
from mycelium.rules.settle import end_open_tasks, hand_up, settle
from mycelium.rules.view import Change, View, require

AT_REST: Final = timedelta(seconds=300)
"""An agent that has not driven its workflow for so long, and is not there, may be relieved."""


def create_workflow(view: View, workflow: Workflow, tasks: Sequence[WorkflowTask]) -> Change[Workflow]:
    """Add a workflow and all its tasks at once. The task `name` of workflow `id` gets the id `id.name`.

    Raises:
        InvalidInput: two tasks have one name.
        UnknownDependency, DependencyCycle, UnknownReference: naming the tasks.
    """
    draft = Draft(view)
    declare(draft, workflow, tasks)
    settle(draft)
    return draft.change(draft.get(Workflow, workflow.id) or workflow)


def declare(draft: Draft, workflow: Workflow, tasks: Sequence[WorkflowTask]) -> None:
    """Put a workflow into the draft, with everything that follows from how its tasks begin."""
    added = add_workflow(draft, workflow, tasks)
    settle(draft, *(task for task in added if not task.open))


def update_workflow(
    view: View, workflow_id: str, *, progress: float | None, current_task: str | None, by: str | None
) -> Change[Workflow]:
    """Say how far a workflow is that an agent drives by hand."""
    workflow = _driven(view, workflow_id, "updated", by)
    draft = Draft(view)
    updated = draft.put(
        workflow.changed(
            progress=workflow.progress if progress is None else progress,
            current_task=workflow.current_task if current_task is None else current_task,
            driver=by,
            updated_at=view.now,
        )
    )
    draft.event(
        WORKFLOWS, "workflow.progress", by,
        **about_workflow(workflow), progress=updated.progress, current_task=current_task,
    )  # fmt: skip
    return draft.change(updated)


def finish_workflow(
    view: View,
    workflow_id: str,
    status: WorkflowStatus,
    *,
    by: str | None,
    result: dict[str, JsonValue] | None = None,
    error: dict[str, JsonValue] | None = None,
) -> Change[Workflow]:
    """Give a workflow its outcome by hand; its open tasks are cancelled."""
    workflow = _driven(view, workflow_id, status, by) if status != "cancelled" else _going_on(view, workflow_id, status)
    if status not in WORKFLOW_TRANSITIONS[workflow.status]:
        raise _illegal(workflow, status, "Wait until what it did is undone.")
    draft = Draft(view)
    closed = close_workflow(draft, workflow, status, by, result=result, error=error or workflow.error)
    ended = end_open_tasks(draft, closed, reason=f"workflow {status}", by=by)
    settle(draft, *ended, *hand_up(draft, closed))
    return draft.change(closed)


def expire_workflow(view: View, workflow_id: str) -> Change[Workflow | None]:
    """End a workflow that has taken too long, as its policy says of failures."""
    workflow = view.get(Workflow, workflow_id)
    if workflow is None or workflow.due_at is None or workflow.due_at > view.now:
        return Change(None)
    draft = Draft(view)
    error: dict[str, JsonValue] = {"error": f"timed out after {workflow.timeout_seconds:g} seconds", "code": "timeout"}
    timed_out = draft.put(workflow.changed(error=error, timeout_at=None, updated_at=view.now))
    draft.event(WORKFLOWS, "workflow.timed_out", None, **about_workflow(workflow), seconds=workflow.timeout_seconds)
    ended = end_open_tasks(draft, timed_out, reason="its workflow timed out", by=None)
    settle(draft, *ended)
    if not ended:
        closed = close_workflow(draft, timed_out, "failed", None)
        settle(draft, *hand_up(draft, closed))
    return draft.change(draft.get(Workflow, workflow_id))


def pause_workflow(view: View, workflow_id: str, *, by: str | None) -> Change[Workflow]:
    """Let nobody claim tasks of it until it is resumed; those that run go on. Twice is once."""
    workflow = _going_on(view, workflow_id, "paused")
    if workflow.status == "paused":
        return Change(workflow)
    if workflow.status != "running":
        raise _illegal(workflow, "paused", "Wait until what it did is undone.")
    draft = Draft(view)
    return draft.change(_paused(draft, workflow, by))


def _paused(draft: Draft, workflow: Workflow, by: str | None) -> Workflow:
    now, until = draft.view.now, workflow.timeout_at
    left = None if until is None else max(0.0, (until - now).total_seconds())
    paused = draft.put(workflow.changed(status="paused", timeout_at=None, seconds_left=left, updated_at=now))
    draft.event(WORKFLOWS, "workflow.paused", by, **about_workflow(workflow))
    for task in open_tasks(draft, workflow):
        draft.put(task.changed(paused=True, updated_at=now))
        inner = draft.get(Workflow, task.runs) if task.runs is not None else None
        if inner is not None and inner.status == "running":
            _paused(draft, inner, by)
    return paused


def resume_workflow(view: View, workflow_id: str, *, by: str | None) -> Change[Workflow]:
    """Go on with a workflow that was paused. One that runs goes on running.

    Raises:
        IllegalTransition: it is being undone, has its outcome, or is part of one that is paused.
    """
    workflow = _going_on(view, workflow_id, "resumed")
    if workflow.status == "running":
        return Change(workflow)
    if workflow.status != "paused":
        raise _illegal(workflow, "resumed", "Wait until what it did is undone.")
    around = view.get(Task, workflow.parent) if workflow.parent is not None else None
    if around is not None and around.paused:
        raise _illegal(workflow, "resumed", f"It is part of {around.workflow_id}: resume that one.")
    draft = Draft(view)
    resumed = _resumed(draft, workflow, by)
    settle(draft)
    return draft.change(draft.get(Workflow, resumed.id) or resumed)


def _resumed(draft: Draft, workflow: Workflow, by: str | None) -> Workflow:
    now, left = draft.view.now, workflow.seconds_left
    until = None if left is None else now + timedelta(seconds=left)
    resumed = draft.put(workflow.changed(status="running", timeout_at=until, seconds_left=None, updated_at=now))
    draft.event(WORKFLOWS, "workflow.resumed", by, **about_workflow(workflow))
    for task in open_tasks(draft, workflow):
        free = draft.put(
            task.changed(paused=False, not_before=to_come(task, now), **_shifted(task, now), updated_at=now)
        )
        if task.status == "pending":
            let_go(draft, free)
        inner = draft.get(Workflow, task.runs) if task.runs is not None else None
        if inner is not None and inner.status == "paused":
            _resumed(draft, inner, by)
    return resumed


def _shifted(task: Task, now: datetime) -> dict[str, object]:
    """When the attempt of a task that holds work began, as if it had not stood still while it was paused."""
    if task.runs is None or task.started_at is None or not task.paused:
        return {}
    return {"started_at": task.started_at + (now - task.updated_at)}


def _driven(view: View, workflow_id: str, wanted: str, by: str | None) -> Workflow:
    """The workflow, if this agent may say how it goes. Without tasks, it is driven by who said something of it first.

    Raises:
        Conflict: another agent drives it, and has not gone.
    """
    workflow = _going_on(view, workflow_id, wanted)
    driver = workflow.driver
    if workflow.tasks or driver is None or driver == by:
        return workflow
    other = view.get(Agent, driver)
    if (other is not None and other.status == "offline") or view.now - workflow.updated_at > AT_REST:
        return workflow
    at = workflow.updated_at.isoformat(timespec="seconds")
    raise Conflict(
        f"{workflow.id} is driven by {driver}, who last changed it at {at}.",
        hint=f"Leave it to {driver}, or publish an event for {driver} to act on.",
        workflow_id=workflow.id,
        driver=driver,
    )


def _going_on(view: View, workflow_id: str, wanted: str) -> Workflow:
    workflow = require(view, Workflow, workflow_id)
    if not workflow.going_on:
        completed = workflow.status == "completed"
        raise _illegal(workflow, wanted, "Create a new one." if completed else "Retry it, or create a new one.")
    return workflow


def _illegal(workflow: Workflow, wanted: str, hint: str) -> IllegalTransition:
    return IllegalTransition(
        f"Workflow {workflow.id} is {workflow.status} and cannot be {wanted}.",
        hint=hint,
        workflow_id=workflow.id,
        status=workflow.status,
    )
