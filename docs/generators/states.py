"""The state machines of tasks, workflows and triggers, drawn from the tables that the rules keep to."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final, TypeAlias, TypeVar, get_args

from generators.blocks import code, table
from mycelium.models import TRANSITIONS, WORKFLOW_TRANSITIONS, TriggerStatus

State = TypeVar("State", bound=str)
Cause: TypeAlias = tuple[str, str, str]
"""A few words for the picture, the whole for the table, and the event that tells of it."""
Causes: TypeAlias = Mapping[tuple[str, str], list[Cause]]

RETRIED: Final[Cause] = ("retried", "Somebody calls `retry_workflow` for its workflow.", "workflow.retried")
ALONE: Final[Cause] = ("done again", "It is part of no workflow, and somebody calls `retry_task`.", "task.retried")
COMPENSATES: Final[Cause] = (
    "to be undone",
    "A task failed, or it took too long; `on_failure` is `compensate`, and something done has `undo`.",
    "workflow.compensating",
)
GOES_ON: Final[Cause] = ("retried", "Somebody calls `retry_workflow`.", "workflow.retried")
TASK_CAUSES: Final[Causes] = {
    ("pending", "running"): [
        ("claimed", "An agent claims it with `claim_task`, and gets a lease.", "task.started"),
        ("a workflow begins", "It has `for_each` or `workflow`, and nothing stands in its way.", "task.started"),
    ],
    ("pending", "failed"): [
        ("no value", "A value that it refers to, or its list, cannot be had.", "task.failed"),
    ],
    ("pending", "cancelled"): [
        ("called off", "Anybody calls `cancel_task`, or ends its workflow.", "task.cancelled"),
        ("rejected", "A person says no to its `approval`.", "task.cancelled"),
    ],
    ("pending", "skipped"): [
        ("can no longer run", "Its dependencies end otherwise than `run_when` wants.", "task.skipped"),
        ("not wanted", "Its dependencies have ended, and its `condition` does not hold.", "task.skipped"),
    ],
    ("running", "pending"): [
        ("given back", "Its holder calls `update_task` with `release`, or disconnects.", "task.released"),
        ("lease expired", "Its holder renews the lease no more, as after a crash.", "task.expired"),
        ("failed, attempts left", "It fails or times out with attempts left; it waits a while first.", "task.retrying"),
    ],
    ("running", "completed"): [
        ("completed", "Its holder calls `complete_task`, or the workflow that does it completes.", "task.completed"),
    ],
    ("running", "failed"): [
        ("failed for good", "Its holder calls `fail_task`, or it times out, and no attempt is left.", "task.failed"),
        ("lost too often", "Its lease has expired ten times more than it has attempts.", "task.failed"),
        ("over budget", "It has used up more than its `budget`.", "task.failed"),
        ("its workflow failed", "The workflow that does it fails.", "task.failed"),
    ],
    ("running", "cancelled"): [
        ("called off", "Anybody calls `cancel_task`, or ends its workflow or the one that does it.", "task.cancelled"),
    ],
    ("failed", "pending"): [RETRIED, ALONE],
    ("cancelled", "pending"): [RETRIED, ALONE],
    ("skipped", "pending"): [RETRIED],
}
WORKFLOW_CAUSES: Final[Causes] = {
    ("running", "completed"): [
        ("none failed or cancelled", "Its last task ends, and none failed or was cancelled.", "workflow.completed"),
        ("by hand", "Somebody calls `complete_workflow`; open tasks are cancelled.", "workflow.completed"),
    ],
    ("running", "failed"): [
        ("a task failed", "Its last task ends, and at least one failed.", "workflow.failed"),
        ("too late", "It takes longer than `timeout_seconds`; open tasks are cancelled.", "workflow.failed"),
        ("by hand", "Somebody calls `fail_workflow`; open tasks are cancelled.", "workflow.failed"),
    ],
    ("running", "cancelled"): [
        ("a task was cancelled", "Its last task ends; none failed, at least one was cancelled.", "workflow.cancelled"),
        ("called off", "Somebody calls `cancel_workflow`; open tasks are cancelled.", "workflow.cancelled"),
    ],
    ("running", "paused"): [("paused", "Somebody calls `pause_workflow`.", "workflow.paused")],
    ("running", "compensating"): [COMPENSATES],
    ("paused", "running"): [("resumed", "Somebody calls `resume_workflow`.", "workflow.resumed")],
    ("paused", "compensating"): [COMPENSATES],
    ("paused", "completed"): [
        ("all done", "Its last task was running already, and ends well; or by hand.", "workflow.completed"),
    ],
    ("paused", "failed"): [
        ("a task failed", "A task that was running fails, and none is left open; or by hand.", "workflow.failed"),
    ],
    ("paused", "cancelled"): [("called off", "Somebody calls `cancel_workflow`.", "workflow.cancelled")],
    ("compensating", "failed"): [("undone", "Its undo tasks have ended, in whatever way.", "workflow.failed")],
    ("compensating", "cancelled"): [("called off", "Somebody calls `cancel_workflow`.", "workflow.cancelled")],
    ("failed", "running"): [GOES_ON],
    ("cancelled", "running"): [GOES_ON],
}
TRIGGER_CAUSES: Final[Causes] = {
    ("active", "stopped"): [
        ("stopped", "Somebody calls `stop_trigger`.", "trigger.stopped"),
        ("in a loop", "Ten triggers in a row have each set off the next one.", "trigger.stopped"),
    ],
    ("active", "done"): [
        ("its moment has come", "Its schedule has no further tick.", "trigger.fired"),
        ("too late", "Nobody was there for its last tick, and its schedule's `missed` is `skip`.", "trigger.missed"),
    ],
    ("stopped", "active"): [("started", "Somebody calls `start_trigger`.", "trigger.started")],
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


def trigger_diagram() -> str:
    """The trigger's states as a picture."""
    return _diagram(_trigger_transitions(), TRIGGER_CAUSES, {"active": "created"})


def trigger_table() -> str:
    """What causes each of the trigger's transitions."""
    return _table(_trigger_transitions(), TRIGGER_CAUSES)


def _trigger_transitions() -> dict[str, set[str]]:
    """Of every status a trigger can have, those it changes to; no table in the code restricts them."""
    return {status: {end for start, end in TRIGGER_CAUSES if start == status} for status in get_args(TriggerStatus)}


def _diagram(transitions: Mapping[State, Set[State]], causes: Causes, first: Mapping[str, str]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", *(f"    [*] --> {state}: {why}" for state, why in first.items())]
    for start, end in _edges(transitions, causes):
        words = " / ".join(short for short, _, _ in causes[start, end])
        lines.append(f"    {start} --> {end}: {words}")
    lines += [f"    {state} --> [*]" for state, onward in transitions.items() if not {*onward} - {*first}]
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
