"""A workflow that ended badly goes on from where it failed."""

from __future__ import annotations

from mycelium.models import Workflow
from mycelium.rules.draft import Draft
from mycelium.rules.reviving import not_retried, revive
from mycelium.rules.settle import settle
from mycelium.rules.view import Change, View, require


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
