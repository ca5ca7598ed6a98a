"""What people do to records by hand, where a store lets them: the same as if a tool had done it, with its event."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final, TypeVar

from mycelium.errors import IllegalTransition, InvalidInput
from mycelium.models import (
    GOING_ON,
    TASKS,
    TRIGGERS,
    WORKFLOW_TRANSITIONS,
    WORKFLOWS,
    Agent,
    AgentReport,
    Record,
    Task,
    TaskSpec,
    Trigger,
    Workflow,
)
from mycelium.rules.adding import add_task
from mycelium.rules.agents import report_agent
from mycelium.rules.creation import bound
from mycelium.rules.draft import Draft, about
from mycelium.rules.ending import cancel, close_workflow
from mycelium.rules.leases import finished, grant, unheld
from mycelium.rules.outcomes import failed
from mycelium.rules.schedule import first_tick
from mycelium.rules.settle import end_open_tasks, hand_up, settle
from mycelium.rules.triggers import check_trigger
from mycelium.rules.view import Change, View, require

R = TypeVar("R", bound=Record)

PERSON: Final = "person"
"""Who holds a task that somebody set to running by hand, unless it is assigned to an agent."""
BY_HAND: Final = 24 * 3600.0
"""Seconds that such a lease lasts: nobody renews it."""
OF_TASKS: Final = frozenset(
    {"type", "title", "payload", "assigned_to", "priority", "max_attempts", "retry_backoff", "timeout_seconds",
     "progress", "note", "queue", "capabilities"}
)  # fmt: skip
"""What may be changed of a task, besides its status with its result or error."""
OF_WORKFLOWS: Final = frozenset({"type", "metadata", "progress", "current_task"})
OF_TRIGGERS: Final = frozenset({"status", "when", "then"})
WITHIN_WORKFLOWS: Final = ("template", "for_each", "workflow", "undo", "approved")
"""What only a workflow, or a person's answer, gives a task."""


def make_task(view: View, wanted: Task) -> Change[Task]:
    """Add a task that a person wrote down, and bring it to the status it was given.

    Raises as `create_task` and `edit_task` do.
    """
    if wrong := [name for name in WITHIN_WORKFLOWS if getattr(wanted, name) is not None]:
        raise _not_by_hand(wanted, wrong, hint="Take that out, or declare a workflow with a tool.")
    draft = Draft(view)
    spec = TaskSpec.model_construct(**{name: getattr(wanted, name) for name in TaskSpec.model_fields})
    task = add_task(draft, bound(spec), id=wanted.id, created_by=wanted.created_by, workflow_id=wanted.workflow_id)
    task = draft.put(
        task.model_copy(update={"progress": wanted.progress, "note": wanted.note, "created_at": wanted.created_at})
    )
    return draft.change(_brought(draft, task, wanted))


def edit_task(view: View, wanted: Task) -> Change[Task]:
    """Do to a task what was done to it by hand: `wanted` is what it should be like.

    A changed status goes the way that a tool would have gone, so that what waits on the task learns of it.

    Raises:
        InvalidInput: something was changed that cannot be.
        IllegalTransition: the task cannot have this status.
    """
    task = require(view, Task, wanted.id)
    draft = Draft(view)
    ends = {"result", "error"} if wanted.status != task.status else set[str]()
    fields = _changed(task, wanted, OF_TASKS, ends | {"status"})
    if fields:
        task = draft.put(task.changed(**fields, updated_at=view.now))
        kind = "task.progress" if fields.keys() <= {"progress", "note"} else "task.edited"
        if kind == "task.progress":
            draft.event(
                TASKS, "task.progress", task.agent, **about(task), progress=task.progress, note=fields.get("note")
            )
        else:
            draft.event(TASKS, "task.edited", None, **about(task), fields=sorted(fields))
    return draft.change(_brought(draft, task, wanted))


def _changed(record: R, wanted: R, may: frozenset[str], besides: set[str]) -> dict[str, object]:
    """The fields that differ and may be changed; the times that Mycelium keeps are left to it."""
    differing = [name for name in type(record).model_fields if getattr(record, name) != getattr(wanted, name)]
    wrong = [name for name in differing if name not in may and name not in besides and name != "updated_at"]
    if wrong:
        raise _not_by_hand(record, wrong, hint="Put back what was there.")
    return {name: getattr(wanted, name) for name in differing if name in may}


def _not_by_hand(record: Record, fields: list[str], hint: str) -> InvalidInput:
    said = f"{record.kind} {record.key} cannot be given other {', '.join(fields)} by hand."
    return InvalidInput(said, hint=hint, fields=fields)


def _brought(draft: Draft, task: Task, wanted: Task) -> Task:
    """The task with the wanted status, and everything that follows from it."""
    if wanted.status == task.status:
        return task
    if not task.open or wanted.status == "skipped":
        raise finished(task, f"made {wanted.status} by hand")
    match wanted.status:
        case "running":
            return _started(draft, task)
        case "pending":
            draft.event(TASKS, "task.released", task.agent, **about(task))
            return draft.put(unheld(task, draft.view.now, attempt=task.attempt - 1))
        case "failed":
            error = wanted.error or {"error": "set to failed by hand"}
            held = _held(draft, task)
            return failed(draft, held, error=error, retry=False, source=held.agent)
        case "cancelled":
            ended = cancel(draft, task, reason=str((wanted.error or {}).get("error", "")) or None, by=None)
        case _:
            ended = [_completed(draft, _held(draft, task), wanted)]
    settle(draft, *ended)
    return ended[0]


def _started(draft: Draft, task: Task) -> Task:
    if not task.ready(draft.view.now):
        raise IllegalTransition(
            f"{task.id} cannot be set to running: it waits for a time or on its dependencies.",
            hint="Set it back to pending.",
            task_id=task.id,
            status=task.status,
        )
    return _held(draft, task)


def _held(draft: Draft, task: Task) -> Task:
    """The task in somebody's hands."""
    if task.status == "running":
        return task
    change = grant(draft.view, task, agent=task.assigned_to or PERSON, seconds=BY_HAND)
    draft.events.extend(change.events)
    return draft.put(change.result)


def _completed(draft: Draft, task: Task, wanted: Task) -> Task:
    done = draft.put(
        task.changed(
            status="completed", blocked=False, lease=None, updated_at=draft.view.now,
            progress=1.0, result=wanted.result, error=None,
        )
    )  # fmt: skip
    draft.event(TASKS, "task.completed", task.agent, **about(done))
    return done


def edit_workflow(view: View, wanted: Workflow) -> Change[Workflow]:
    """Do to a workflow what was done to it by hand. Raises as `edit_task` does."""
    workflow = require(view, Workflow, wanted.id)
    draft = Draft(view)
    ended = wanted.status != workflow.status
    fields = _changed(workflow, wanted, OF_WORKFLOWS, {"status", "result", "error"} if ended else set())
    if fields:
        workflow = draft.put(workflow.changed(**fields, updated_at=view.now))
        draft.event(
            WORKFLOWS, "workflow.edited", None,
            workflow_id=workflow.id, workflow_type=workflow.type, fields=sorted(fields),
        )  # fmt: skip
    if not ended:
        return draft.change(workflow)
    if wanted.status not in WORKFLOW_TRANSITIONS[workflow.status] - GOING_ON:
        raise IllegalTransition(
            f"Workflow {workflow.id} is {workflow.status} and cannot be made {wanted.status} by hand.",
            hint="Put back the status that was there.",
            workflow_id=workflow.id,
            status=workflow.status,
        )
    closed = close_workflow(draft, workflow, wanted.status, None, result=wanted.result, error=wanted.error)
    ended_tasks = end_open_tasks(draft, closed, reason=f"workflow {wanted.status}", by=None)
    settle(draft, *ended_tasks, *hand_up(draft, closed))
    return draft.change(closed)


def make_workflow(view: View, wanted: Workflow) -> Change[Workflow]:
    """Add a workflow that a person wrote down: tasks that are there already, or none."""
    draft = Draft(view)
    workflow = draft.put(wanted.model_copy(update={"updated_at": view.now, "version": 1}))
    draft.event(
        WORKFLOWS, "workflow.created", None,
        workflow_id=workflow.id, workflow_type=workflow.type, tasks=len(workflow.tasks),
    )  # fmt: skip
    return draft.change(workflow)


def edit_agent(view: View, wanted: Agent) -> Change[Agent]:
    """Take down what was said of an agent by hand, as if the agent had said it."""
    report = AgentReport.model_construct(**{name: getattr(wanted, name) for name in AgentReport.model_fields})
    return report_agent(view, wanted.name, report)


def edit_trigger(view: View, wanted: Trigger) -> Change[Trigger]:
    """Do to a trigger what was done to it by hand. What it now waits for begins anew.

    Raises as `edit_task` and `create_trigger` do.
    """
    trigger = require(view, Trigger, wanted.id)
    draft = Draft(view)
    fields = _changed(trigger, wanted, OF_TRIGGERS, set())
    if not fields:
        return draft.change(trigger)
    if fields.get("status") == "done":
        raise IllegalTransition(
            f"Trigger {trigger.id} cannot be made done by hand.",
            hint="Make it stopped, or active, or remove its file.",
            trigger_id=trigger.id,
            status=trigger.status,
        )
    if fields.keys() & {"when", "then"}:
        check_trigger(wanted)
    anew = _anew(view, wanted) if fields.keys() & {"status", "when"} else {}
    edited = draft.put(trigger.changed(**fields, **anew, updated_at=view.now))
    draft.event(TRIGGERS, "trigger.edited", None, trigger_id=edited.id, status=edited.status, fields=sorted(fields))
    return draft.change(edited)


def make_trigger(view: View, wanted: Trigger, *, seq: int) -> Change[Trigger]:
    """Add a trigger that a person wrote down; it fires for what happens after event `seq`.

    Raises as `create_trigger` does.
    """
    check_trigger(wanted)
    draft = Draft(view)
    fresh = {"version": 1, "fired": 0, "last_fired_at": None, "seq": seq, "updated_at": view.now}
    trigger = draft.put(wanted.model_copy(update={**fresh, **_anew(view, wanted), "created_at": view.now}))
    draft.event(TRIGGERS, "trigger.created", None, trigger_id=trigger.id, status=trigger.status)
    return draft.change(trigger)


def _anew(view: View, wanted: Trigger) -> dict[str, object]:
    """A trigger that begins anew. Raises InvalidSchedule for a schedule that would never tick."""
    schedule = wanted.when.schedule
    return {"next_at": schedule and first_tick(schedule, view.now), "armed": True, "error": None}


def adopt_triggers(view: View, triggers: Sequence[Trigger], *, told: Set[tuple[str, str]]) -> Change[None]:
    """Take triggers over as another copy of this store wrote them; an event tells of those that none has told of."""
    draft = Draft(view)
    for trigger in triggers:
        draft.put(trigger)
        if (trigger.kind, trigger.key) not in told:
            draft.event(TRIGGERS, "trigger.adopted", None, trigger_id=trigger.id, status=trigger.status)
    return draft.change(None)
