"""How far work is, for whoever asks: one workflow, a listing of them, or who waits for its end."""

from __future__ import annotations

from collections.abc import Sequence

from mycelium.models import Task, Workflow


def share_done(tasks: Sequence[Task], workflow: Workflow | None = None) -> float:
    """From 0 to 1: ended tasks count whole, others for as much as their agents have said.

    What was said of the workflow itself by hand goes first. One that has its outcome has no task left to end.
    """
    if workflow is not None and (workflow.progress or not workflow.tasks):
        return workflow.progress
    if not tasks or (workflow is not None and not workflow.going_on):
        return 1.0
    return round(sum(task.progress if task.open else 1.0 for task in tasks) / len(tasks), 4)
