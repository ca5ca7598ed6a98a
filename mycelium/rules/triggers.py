"""Triggers are made, held up and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast, get_args

from mycelium.errors import Conflict, IllegalTransition, InvalidInput
from mycelium.models import (
    TRIGGERS,
    AgentStatus,
    Priority,
    Stats,
    TaskStatus,
    Trigger,
    TriggerStatus,
    WorkflowStatus,
)
from mycelium.models.trigger import Then
from mycelium.rules.adding import OF_WORKFLOW
from mycelium.rules.declaring import check_declared
from mycelium.rules.draft import Draft
from mycelium.rules.firing import CAUSE
from mycelium.rules.schedule import first_tick
from mycelium.rules.values import Binder
from mycelium.rules.view import Change, View, require

SINGLE: Final = ("ready", "last_seq", "bytes", "agent_count", "task_queue_size")
"""The statistics that are one number."""
COUNTED: Final = {
    "tasks": get_args(TaskStatus),
    "queues": get_args(Priority),
    "agents": get_args(AgentStatus),
    "workflows": get_args(WorkflowStatus),
    "triggers": get_args(TriggerStatus),
}
"""Those that are a number each for some names."""


def create_trigger(view: View, trigger: Trigger) -> Change[Trigger]:
    """Add a trigger. It fires for what happens from now on.

    Raises:
        Conflict: there is one of this id.
        InvalidSchedule: it would never fire, or its cron line or time zone is wrong.
        UnknownReference: its template refers to something that no cause has.
        InvalidInput: no statistic has that name, or no workflow could come of the template.
    """
    if view.get(Trigger, trigger.id) is not None:
        raise Conflict(f"Trigger {trigger.id} exists.", hint="Remove it first, or use another id.", id=trigger.id)
    check_trigger(trigger)
    schedule = trigger.when.schedule
    next_at = None if schedule is None else first_tick(schedule, view.now)
    draft = Draft(view)
    made = draft.put(
        trigger.model_copy(update={"next_at": next_at, "created_at": view.now, "updated_at": view.now, "version": 1})
    )
    at = next_at.isoformat() if next_at else None
    draft.event(TRIGGERS, "trigger.created", trigger.created_by, trigger_id=made.id, next_at=at)
    return draft.change(made)


def check_trigger(trigger: Trigger) -> None:
    """Refuse a trigger that could never fire, or never make anything.

    Raises:
        UnknownReference: its template refers to something that no cause has.
        InvalidInput: no statistic has that name, or no workflow could come of the template.
    """
    _check_template(trigger.then)
    if trigger.when.statistic is not None:
        _check_statistic(trigger.when.statistic.statistic)


def _check_template(then: Then) -> None:
    """Raise for references that no cause could fill. What a cause has is known when there is one."""
    if then.task is not None:
        binder = Binder("The template", {key: key for key in then.task.depends_on}, {CAUSE})
        binder.value(then.task.payload)
        binder.roots = frozenset()  # what a cause has is known when the task is created, not when it is asked about
        if then.task.condition is not None:
            binder.condition(then.task.condition)
    if then.workflow is not None:
        Binder("The metadata", {}, {CAUSE, OF_WORKFLOW}).value(then.workflow.metadata)
        check_declared(then.workflow, besides={CAUSE})


def _check_statistic(name: str) -> None:
    first, _, second = name.partition(".")
    if first in SINGLE if not second else second in COUNTED.get(first, ()):
        return
    choice = [*SINGLE, *(f"{kind}.{each}" for kind, names in COUNTED.items() for each in names)]
    raise InvalidInput(
        f"There is no statistic {name!r}.", hint=f"Use one of: {', '.join(choice)}.", fields=["statistic"]
    )


def remove_trigger(view: View, trigger_id: str, *, by: str | None) -> Change[Trigger]:
    """Take a trigger away. What it made stays."""
    trigger = require(view, Trigger, trigger_id)
    draft = Draft(view)
    draft.event(TRIGGERS, "trigger.removed", by, trigger_id=trigger.id)
    return Change(trigger, removes=(trigger,), events=draft.events)


def set_trigger(view: View, trigger_id: str, *, active: bool, seq: int, by: str | None) -> Change[Trigger]:
    """Stop a trigger, or start it again for what happens after event `seq`. Twice is once.

    Raises:
        IllegalTransition: its one moment has passed.
        InvalidSchedule: it would never tick again, as when its moment went by while it was stopped.
    """
    trigger = require(view, Trigger, trigger_id)
    if (trigger.status == "active") is active:
        return Change(trigger)
    if trigger.status == "done":
        raise IllegalTransition(
            f"Trigger {trigger.id} is done: its moment has passed.", hint="Create a new one.", id=trigger.id
        )
    draft = Draft(view)
    schedule = trigger.when.schedule
    fields: dict[str, object] = {"status": "active" if active else "stopped", "updated_at": view.now}
    if active:
        fields |= {"seq": seq, "error": None, "next_at": None if schedule is None else first_tick(schedule, view.now)}
    changed = draft.put(trigger.changed(**fields))
    kind = "trigger.started" if active else "trigger.stopped"
    draft.event(TRIGGERS, kind, by, trigger_id=trigger.id)
    return draft.change(changed)


def statistic(stats: Stats, name: str) -> float | None:
    """The number of this name: `ready`, `tasks.failed`, `queues.critical`, `agents.error`; None where there is none."""
    first, _, second = name.partition(".")
    found: object = getattr(stats, first, None)
    if second:
        return float(cast("Mapping[str, int]", found).get(second, 0)) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None
