"""The state machines of tasks and workflows, drawn from the tables that the rules keep to."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final, TypeAlias, TypeVar

from generators.blocks import code, table
from mycelium.models import TRANSITIONS, WORKFLOW_TRANSITIONS

State = TypeVar("State", bound=str)
Cause: TypeAlias = tuple[str, str, str]
"""A few words for the picture, the whole for the table, and the event that tells of it."""
Causes: TypeAlias = Mapping[tuple[str, str], list[Cause]]

TASK_CAUSES: Final[Causes] = {
    ("pending", "running"): [("claimed", "An agent claims it with `claim_task`, and gets a lease.", "task.started")],
    ("pending", "cancelled"): [("called off", "Anybody calls `cancel_task`, or ends its workflow.", "task.cancelled")],
    ("pending", "skipped"): [
        ("can no longer run", "Its dependencies end otherwise than `run_when` wants.", "task.skipped")
    ],
    ("running", "pending"): [
        ("given back", "Its holder calls `update_task` with `release`, or disconnects.", "task.released"),
        ("lease expired", "Its holder renews the lease no more, as after a crash.", "task.expired"),
        ("failed, attempts left", "It fails or times out with attempts left; it waits a while first.", "task.retrying"),
    ],
    ("running", "completed"): [("completed", "Its holder calls `complete_task`.", "task.completed")],
    ("running", "failed"): [
        ("failed for good", "Its holder calls `fail_task`, or it times out, and no attempt is left.", "task.failed"),
    ],
    ("running", "cancelled"): [("called off", "Anybody calls `cancel_task`, or ends its workflow.", "task.cancelled")],
}
WORKFLOW_CAUSES: Final[Causes] = {
    ("running", "completed"): [
        ("none failed or cancelled", "Its last task ends, and none failed or was cancelled.", "workflow.completed"),
        ("by hand", "Somebody calls `complete_workflow`; open tasks are cancelled.", "workflow.completed"),
    ],
    ("running", "failed"): [
        ("a task failed", "Its last task ends, and at least one failed.", "workflow.failed"),
        ("by hand", "Somebody calls `fail_workflow`; open tasks are cancelled.", "workflow.failed"),
    ],
    ("running", "cancelled"): [
        ("a task was cancelled", "Its last task ends; none failed, at least one was cancelled.", "workflow.cancelled"),
    ],
}


def task_diagram() -> str:
    """The task's states as a picture."""
    return _diagram(TRANSITIONS, TASK_CAUSES, {"pending": "created", "skipped": "created too late to run"})


def task_table() -> str:
    """What causes each of the task's transitions."""
    return _table(TRANSITIONS, TASK_CAUSES)


def workflow_diagram() -> str:
    """The workflow's states as a picture."""
    return _diagram(WORKFLOW_TRANSITIONS, WORKFLOW_CAUSES, {"running": "created"})


def workflow_table() -> str:
    """What causes each of the workflow's transitions."""
    return _table(WORKFLOW_TRANSITIONS, WORKFLOW_CAUSES)


def _diagram(transitions: Mapping[State, Set[State]], causes: Causes, first: Mapping[str, str]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", *(f"    [*] --> {state}: {why}" for state, why in first.items())]
    for start, end in _edges(transitions, causes):
        words = " / ".join(short for short, _, _ in causes[start, end])
        lines.append(f"    {start} --> {end}: {words}")
    lines += [f"    {state} --> [*]" for state, onward in transitions.items() if not onward]
    return "\n".join([*lines, "```"])


def _table(transitions: Mapping[State, Set[State]], causes: Causes) -> str:
    rows = [
        (code(start), code(end), long, code(event))
        for start, end in _edges(transitions, causes)
        for _, long, event in causes[start, end]
    ]
    return table(("from", "to", "when", "event"), rows)


def _edges(transitions: Mapping[State, Set[State]], causes: Causes) -> list[tuple[str, str]]:
    """Every transition that the code allows, in the order of the causes.

    Raises:
        ValueError: the causes explain others than the code allows.
    """
    allowed = {(start, end) for start, ends in transitions.items() for end in ends}
    if differing := allowed ^ set(causes):
        raise ValueError(f"transitions without a cause, or causes without a transition: {sorted(differing)}")
    return list(causes)
