"""What the suites on workflows share: agents that work everything off, and a look at how it stands."""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import Event, Task
from tests.support.store import log

Does = Callable[[Task], Mapping[str, JsonValue] | None]
"""What an agent makes of a task; None where it fails at it."""


def name_of(task: Task) -> str:
    """What the task is called within the outermost workflow around it."""
    return task.id.split(".", 1)[-1]


def succeed(_task: Task) -> Mapping[str, JsonValue]:
    return {}


def fails_at(*names: str) -> Does:
    return lambda task: None if name_of(task) in names else {"did": name_of(task)}


async def work_off(m: Mycelium, does: Does = succeed) -> list[str]:
    """Claim and end one task after another until none is ready. Their names, in their order."""
    order: list[str] = []
    while (task := await m.claim_task()) is not None:
        order.append(name_of(task))
        result = does(task)
        await (m.fail_task(task.id, "broken", retry=False) if result is None else m.complete_task(task.id, result))
    return order


async def standing(m: Mycelium, workflow_id: str) -> dict[str, str]:
    """The status of each task of a workflow, by its name."""
    workflow = await m.get_workflow(workflow_id)
    return {task.id.removeprefix(f"{workflow_id}."): task.status for task in await m.get_tasks(workflow.tasks)}


async def outcome(m: Mycelium, workflow_id: str) -> str:
    return (await m.get_workflow(workflow_id)).status


async def events_of(m: Mycelium, type: str) -> list[Event]:
    """All events of this type, in their order."""
    return [event for event in await log(m) if event.type == type]
