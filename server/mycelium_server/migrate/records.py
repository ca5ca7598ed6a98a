"""Tasks and workflows of ours, from what was found in another program's files."""

from __future__ import annotations

from datetime import datetime

from mycelium.errors import InvalidInput
from mycelium.models import OPEN, Task, TaskStatus, Workflow, WorkflowStatus, validated
from mycelium.rules.adding import standing
from mycelium_server.migrate.foreign import Foreign, ForeignGroup, ForeignTask, unusable
from mycelium_server.migrate.ids import Names, named, readable
from mycelium_server.migrate.waits import waits_of


def records_of(foreign: Foreign, now: datetime) -> list[Task | Workflow]:
    """Every task in the order of its file, and a workflow for each group, behind its tasks.

    `now` is the time of those that tell none.

    Raises:
        InvalidInput: something in it does not fit together, or is more than a task of ours may have.
    """
    each = zip(foreign.groups, named(foreign), strict=True)
    return [record for group, names in each for record in _group(foreign, group, names, now)]


def _group(foreign: Foreign, group: ForeignGroup, names: Names, now: datetime) -> list[Task | Workflow]:
    by_id = {names.tasks[task.id]: task for task in group.tasks}
    made: dict[str, Task] = {}
    for id, waits in waits_of(foreign, group, names).items():
        blank = _task(foreign, by_id[id], now, id=id, workflow_id=names.group, depends_on=waits)
        made[id] = _standing(blank, by_id[id], [made[other] for other in waits])
    tasks = [made[id] for id in by_id]
    return [*tasks, _workflow(foreign, group, names, tasks, now)]


def _task(foreign: Foreign, task: ForeignTask, now: datetime, **fields: object) -> Task:
    _check_status(foreign, task)
    created_at = task.created_at or now
    try:
        return validated(
            Task,
            type=task.type[:128],
            title=task.title[:500],
            payload=task.payload,
            note=task.note[:500],
            assigned_to=readable(task.assigned_to or "") or None,
            priority=task.priority,
            created_at=created_at,
            updated_at=max(created_at, task.updated_at or created_at),
            **fields,
        )
    except InvalidInput as error:
        says = error.message.removeprefix("Invalid ").rstrip(".")
        raise unusable(task.file or foreign.file, f"task {task.id}: {says}", task=task.id) from None


def _check_status(foreign: Foreign, task: ForeignTask) -> None:
    if task.standing == "unknown":
        status = str(task.payload["status"])
        says = f"task {task.id}: unknown status {status[:100]!r} (known are {', '.join(foreign.statuses)})"
        raise unusable(task.file or foreign.file, says, task=task.id, status=status)


def _standing(task: Task, foreign: ForeignTask, waits: list[Task]) -> Task:
    """The task with its status: the file's where it has ended, else what its dependencies make of it."""
    if foreign.standing == "done":
        return task.model_copy(update={"status": "completed", "progress": 1.0, "result": foreign.outcome})
    if foreign.standing == "cancelled":
        return task.model_copy(update={"status": "cancelled", "error": foreign.outcome})
    return task.model_copy(update=standing(task, [other.status for other in waits]))


def _workflow(foreign: Foreign, group: ForeignGroup, names: Names, tasks: list[Task], now: datetime) -> Workflow:
    status = _outcome(group, [task.status for task in tasks])
    try:
        return validated(
            Workflow,
            id=names.group,
            type=names.group,
            mode="sequential" if group.in_a_row else "dag",
            status=status,
            tasks=[task.id for task in tasks],
            progress=1.0 if status == "completed" else 0.0,
            metadata={**group.metadata, "imported_from": foreign.program},
            created_at=min((task.created_at for task in tasks), default=now),
            updated_at=max((task.updated_at for task in tasks), default=now),
        )
    except InvalidInput as error:
        raise unusable(foreign.file, f"{group.id}: {error.message.removeprefix('Invalid ').rstrip('.')}") from None


def _outcome(group: ForeignGroup, statuses: list[TaskStatus]) -> WorkflowStatus:
    """As it would have been if its last task had ended here."""
    if any(status in OPEN for status in statuses) or (not statuses and not group.done):
        return "running"
    return "cancelled" if "cancelled" in statuses else "completed"
