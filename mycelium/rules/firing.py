"""A trigger fires: what its template says comes into being, once for each cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final, cast

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium.errors import InvalidInput, InvalidSchedule, MyceliumError
from mycelium.models import (
    AGENTS,
    MAX_JSON_BYTES,
    TRIGGERS,
    Cause,
    Event,
    TaskSpec,
    Trigger,
    Workflow,
    WorkflowSpec,
    WorkflowTask,
    validated,
)
from mycelium.models.spec import mode_of
from mycelium.models.trigger import OnEvent
from mycelium.rules.adding import add_task
from mycelium.rules.creation import bound
from mycelium.rules.draft import Draft
from mycelium.rules.events import is_own
from mycelium.rules.schedule import LATE, due_ticks
from mycelium.rules.values import Unresolved, holds, resolve
from mycelium.rules.view import Change, View
from mycelium.rules.workflows import declare

CAUSE: Final = "cause"
"""Where references to what made a trigger fire begin."""
MAX_HOPS: Final = 10
"""So many triggers in a row may each be the cause of the next one."""
COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    "==": lambda one, other: one == other,
}


def matches(trigger: Trigger, event: Event) -> bool:
    """Whether this event is one that the trigger waits for. One that its condition cannot be asked about is not."""
    if event.seq <= trigger.seq or event.channel == TRIGGERS:
        return False
    if trigger.when.event is not None:
        return is_like(trigger.when.event, event)
    wanted = trigger.when.agent
    if wanted is None or (event.channel, event.type) != (AGENTS, "agent.status"):
        return False
    return fnmatchcase(str(event.data.get("agent")), wanted.agent) and event.data.get("status") == wanted.status


def is_like(wanted: OnEvent, event: Event) -> bool:
    """Whether this event fits the pattern."""
    fits = (
        fnmatchcase(event.channel, wanted.channel)
        and fnmatchcase(event.type, wanted.type)
        and (wanted.source is None or fnmatchcase(event.source or "", wanted.source))
    )
    if not fits or wanted.where is None:
        return fits
    said = event.model_dump(mode="json")
    try:
        return holds(wanted.where, said.get)
    except Unresolved:
        return False


def fire_for_event(view: View, trigger_id: str, event: Event, *, id: str) -> Change[bool]:
    """Let a trigger fire for this event, unless it has. `id` is for the workflow or task. Whether it fired."""
    trigger = view.get(Trigger, trigger_id)
    if trigger is None or trigger.status != "active" or not matches(trigger, event):
        return Change(False)
    # Only what Mycelium itself reports tells truly how many triggers led to it.
    hops = cast("int", event.data.get("hops", 0)) if is_own(event.channel, event.type) else 0
    cause = Cause(id=event.id, about={"kind": "event", **event.model_dump(mode="json")}, hops=hops)
    return _fire(view, trigger, cause, id=id, seq=event.seq)


def fire_on_time(view: View, trigger_id: str, *, id: str) -> Change[int]:
    """Let a schedule's ticks act that have come, as its policy says, or tell that it passed them all over.

    How often it fired. `id` is for what the first makes.
    """
    trigger = view.get(Trigger, trigger_id)
    if trigger is None or trigger.due_at is None or trigger.due_at > view.now or trigger.when.schedule is None:
        return Change(0)
    draft = Draft(view)
    try:
        ticks, following = due_ticks(trigger.when.schedule, trigger.due_at, view.now)
    except InvalidSchedule as why:  # this machine may know fewer time zones than the one that it was made on
        _stop(draft, trigger.changed(next_at=None), str(why)[:500])
        return draft.change(0)
    before = trigger.fired
    status = "active" if following else "done"
    if not ticks:
        at, next_at = trigger.due_at.isoformat(), following.isoformat() if following else None
        draft.event(TRIGGERS, "trigger.missed", None, trigger_id=trigger.id, at=at, next_at=next_at, status=status)
    draft.put(trigger := trigger.changed(next_at=following, status=status, updated_at=view.now))
    left = None if trigger.times is None else max(0, trigger.times - trigger.fired)
    causes = {f"{id}-{number}" if number else id: _cause(tick, view.now) for number, tick in enumerate(ticks[:left])}
    _read_made(draft, trigger, causes)
    for each, cause in causes.items():
        trigger = _fired(draft, trigger, cause, id=each)
    return draft.change(trigger.fired - before)


def _cause(tick: datetime, now: datetime) -> Cause:
    at = tick.isoformat()
    return Cause(id=at, about={"kind": "schedule", "time": at, "late": now - tick > LATE})


def _read_made(draft: Draft, trigger: Trigger, causes: Mapping[str, Cause]) -> None:
    """Read in one journey whether there already is what these would make, since each will be asked for by itself."""
    if trigger.then.task is not None:
        draft.read_by_idempotency_key([_key(trigger, cause) for cause in causes.values()])
    else:
        draft.read(Workflow, [f"w-{id}" for id in causes])


def fire_on_statistic(view: View, trigger_id: str, value: float, *, id: str) -> Change[bool]:
    """Let a trigger fire whose statistic has crossed its threshold, once for each crossing. Whether it fired."""
    trigger = view.get(Trigger, trigger_id)
    if trigger is None or trigger.status != "active" or trigger.when.statistic is None:
        return Change(False)
    wanted = trigger.when.statistic
    beyond = COMPARED[wanted.op](value, wanted.value)
    if beyond is not trigger.armed:
        return Change(False)
    if not beyond:
        return Change(False, puts=(trigger.changed(armed=True, updated_at=view.now),))
    about: dict[str, JsonValue] = {"kind": "statistic", "statistic": wanted.statistic, "value": value}
    # Nothing here may differ between two runs of the rule, as the time does: it would ask for another key each time.
    cause = Cause(id=f"{wanted.statistic}-{trigger.created_at.isoformat()}-{trigger.version}", about=about)
    return _fire(view, trigger, cause, id=id, armed=False)


def _fire(view: View, trigger: Trigger, cause: Cause, *, id: str, **noted: object) -> Change[bool]:
    draft = Draft(view)
    if cause.hops >= MAX_HOPS:
        error = f"It was stopped after {MAX_HOPS} triggers in a row, each set off by what the one before had made."
        _stop(draft, trigger.changed(**noted), error, cause=cause.id)
        return draft.change(False)
    trigger = draft.put(trigger.changed(**noted))
    return draft.change(_fired(draft, trigger, cause, id=id).error is None)


def _stop(draft: Draft, trigger: Trigger, error: str, **about: str) -> None:
    draft.put(trigger.model_copy(update={"status": "stopped", "error": error, "updated_at": draft.view.now}))
    draft.event(TRIGGERS, "trigger.stopped", None, trigger_id=trigger.id, **about, error=error)


def _fired(draft: Draft, trigger: Trigger, cause: Cause, *, id: str) -> Trigger:
    """Put what the template makes of this cause into the draft, or why it cannot."""
    now, mark = draft.view.now, draft.mark()
    try:
        made = _made(draft, trigger, cause, id=id)
    except (Unresolved, MyceliumError) as why:
        draft.back_to(mark)
        error = str(why)[:500]
        draft.event(TRIGGERS, "trigger.failed", None, trigger_id=trigger.id, cause=cause.id, error=error[:200])
        return draft.put(trigger.model_copy(update={"error": error, "updated_at": now}))
    hops = cause.hops + 1
    draft.event(TRIGGERS, "trigger.fired", None, trigger_id=trigger.id, cause=cause.id, **made, hops=hops)
    fields = {"fired": trigger.fired + 1, "last_fired_at": now, "error": None, "updated_at": now}
    if trigger.times is not None and trigger.fired + 1 >= trigger.times:
        fields |= {"status": "done", "next_at": None}
    return draft.put(trigger.model_copy(update=fields))


def _made(draft: Draft, trigger: Trigger, cause: Cause, *, id: str) -> dict[str, str]:
    """Create the task or the workflow; which one it was."""
    hops = cause.hops + 1
    if trigger.then.task is not None:
        key = _key(trigger, cause)
        spec = bound(task_for(trigger.then.task, cause)).model_copy(update={"idempotency_key": key})
        add_task(draft, spec, id=f"t-{id}", created_by=trigger.created_by, hops=hops)
        return {"task_id": f"t-{id}"}
    spec = workflow_for(cast("WorkflowSpec", trigger.then.workflow), cause)
    workflow = validated(
        Workflow, id=f"w-{id}", type=spec.type, mode=mode_of(spec), metadata=spec.metadata,
        on_failure=spec.on_failure, timeout_seconds=spec.timeout_seconds, hops=hops, created_by=trigger.created_by,
        created_at=draft.view.now, updated_at=draft.view.now,
    )  # fmt: skip
    declare(draft, workflow, spec.tasks)
    return {"workflow_id": workflow.id}


def _key(trigger: Trigger, cause: Cause) -> str:
    """What makes sure that this cause creates one task."""
    return f"trigger:{trigger.id}:{cause.id}"[:256]


def task_for(template: TaskSpec, cause: Cause) -> TaskSpec:
    """The template with what it says of the cause filled in. Raises Unresolved or InvalidInput."""
    payload = _filled(template.payload, cause)
    return validated(TaskSpec, **{**dict(template), "payload": payload})


def workflow_for(template: WorkflowSpec, cause: Cause) -> WorkflowSpec:
    """The same for a workflow's metadata and its tasks' payloads, also of those within others."""
    tasks = tuple(_task_in(task, cause) for task in template.tasks)
    return template.model_copy(update={"metadata": _filled(template.metadata, cause), "tasks": tasks})


def _task_in(task: WorkflowTask, cause: Cause) -> WorkflowTask:
    fields: dict[str, object] = {"payload": _filled(task.payload, cause)}
    if task.for_each is not None:
        listed: JsonValue = {"$from": task.for_each} if isinstance(task.for_each, str) else task.for_each
        fields["for_each"] = resolve(listed, lambda _: cause.about, only={CAUSE}, again=True)
    if task.undo is not None:
        fields["undo"] = task.undo.model_copy(update={"payload": _filled(task.undo.payload, cause)})
    if task.workflow is not None:
        fields["workflow"] = workflow_for(task.workflow, cause)
    return task.model_copy(update=fields)


def _filled(payload: Mapping[str, JsonValue], cause: Cause) -> dict[str, JsonValue]:
    filled = resolve(dict(payload), lambda _: cause.about, only={CAUSE}, again=True)
    if not isinstance(filled, dict):
        raise InvalidInput("A payload must be an object.", hint="Refer to single values in it.", fields=["payload"])
    if (size := len(to_json(filled))) > MAX_JSON_BYTES:
        raise Unresolved(f"the payload would have {size} bytes, the limit is {MAX_JSON_BYTES}: refer to less")
    return filled
