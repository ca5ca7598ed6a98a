"""What ended badly is done again: a workflow from where it failed, or a task that is part of none."""

from __future__ import annotations

from mycelium.errors import IllegalTransition
from mycelium.models import Task, Workflow
from mycelium.rules.draft import Draft
from mycelium.rules.reviving import not_retried, revive, revive_task
from mycelium.rules.settle import settle
from mycelium.rules.view import Change, View, require


def retry_task(view: View, task_id: str, *, by: str | None) -> Change[Task]:
    """Do a failed or cancelled task again, with all its attempts; one of a workflow, with all else that failed there.

    What waited on its success and was skipped for that stays skipped, unless it is part of the same workflow.

    Raises:
        IllegalTransition: it goes on, or it has an outcome that stands.
    """
    task = require(view, Task, task_id)
    if task.workflow_id is not None:
        retry = retry_workflow(view, task.workflow_id, by=by)
        found = next((each for each in retry.puts if isinstance(each, Task) and each.id == task_id), task)
        return Change(found, puts=retry.puts, events=retry.events)
    if task.status not in {"failed", "cancelled"}:
        raise IllegalTransition(
            f"{task.id} is {task.status} and cannot be done again.",
            hint="Create a new task if the work is to be done again.",
            task_id=task.id,
            status=task.status,
        )
    draft = Draft(view)
    settle(draft, *revive_task(draft, task, by))
    return draft.change(draft.get(Task, task.id) or task)


def retry_workflow(view: View, workflow_id: str, *, by: str | None) -> Change[Workflow]:
    """Do again whatever of a failed or cancelled workflow was not completed, with all its attempts.

    Raises:
        IllegalTransition: it goes on, was completed or undone, or is part of another one.
    """
    workflow = require(view, Workflow, workflow_id)
    if (hint := _obstacle(workflow)) is not None:
        raise not_retried(workflow, hint)
    draft = Draft(view)
    settle(draft, *revive(draft, workflow, by))
    return draft.change(draft.get(Workflow, workflow.id) or workflow)


def _obstacle(workflow: Workflow) -> str | None:
    if workflow.going_on:
        return "It goes on; wait for its outcome, or cancel it first."
    if workflow.status == "completed":
        return "Create a new workflow if the work is to be done again."
    if workflow.parent is not None:
        return f"It does the task {workflow.parent}: retry the workflow of that."
    if not workflow.tasks:
        return "It was driven by hand: create a new workflow."
    return None
