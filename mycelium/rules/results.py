"""What a workflow came to, put together from what its tasks did."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium.models import MAX_JSON_BYTES, Task, Workflow, WorkflowStatus
from mycelium.rules.draft import Draft
from mycelium.rules.ending import readable_tasks_of

TOO_LARGE = "together the results are larger than 1 MiB: read them from the tasks"
DAMAGED = "one of the tasks cannot be read: mend it, and read the results from the tasks"


def joint_result(draft: Draft, workflow: Workflow, status: WorkflowStatus) -> dict[str, JsonValue] | None:
    """The results of a for_each in the order of its list, else those of the last tasks, by name.

    None where there are none. Of a workflow that failed, only a for_each has a result, of those that succeeded.
    """
    repeated = workflow.parent is not None and _is_repeated(draft, workflow.parent)
    if not workflow.tasks and not repeated:
        return None
    if not repeated and status != "completed":
        return None
    tasks = readable_tasks_of(draft, workflow)
    if workflow.tasks and not tasks:
        return {"omitted": DAMAGED, "count": len(workflow.tasks)}
    result = _items(tasks) if repeated else _last(tasks, len(workflow.id) + 1)
    if result is None or len(to_json(result)) <= MAX_JSON_BYTES:
        return result
    return {"omitted": TOO_LARGE, "count": len(tasks)}


def _is_repeated(draft: Draft, parent: str) -> bool:
    task = draft.get(Task, parent)
    return task is not None and task.for_each is not None


def _items(tasks: Sequence[Task]) -> dict[str, JsonValue]:
    items: list[JsonValue] = [task.result if task.status == "completed" else None for task in tasks]
    return {"items": items, "count": len(items), "failed": sum(task.status == "failed" for task in tasks)}


def _last(tasks: Sequence[Task], prefix: int) -> dict[str, JsonValue] | None:
    """What the tasks made that no other waits on."""
    waited_on = {key for task in tasks for key in task.depends_on}
    last = [task for task in tasks if task.id not in waited_on and task.result is not None]
    return {task.id[prefix:]: task.result for task in last} or None
