"""The checker itself: a true history passes, and each lie in it is found."""

from collections.abc import Callable

import pytest

from mycelium import Mycelium
from mycelium.models import Event, Task
from tests.support.store import log
from tests.workflows.history import problems_in


@pytest.fixture
async def told() -> tuple[list[Event], list[Task]]:
    """The log of a small workflow that was worked through, with one attempt given back, and its tasks."""
    async with Mycelium.open("memory:", agent="ada", background=False) as m:
        workflow = await m.create_workflow("w", ["a", "b", "c"])
        first = await m.claim_task()
        assert first is not None
        await m.update_task(first.id, release=True)
        while (task := await m.claim_task()) is not None:
            await m.complete_task(task.id)
        return await log(m), await m.get_tasks(workflow.tasks)


def renumbered(events: list[Event]) -> list[Event]:
    return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(events, 1)]


def at(events: list[Event], type: str, name: str) -> int:
    """Where the last event of this type on this task stands."""
    found = [n for n, e in enumerate(events) if e.type == type and str(e.data.get("task_id", "")).endswith(name)]
    return found[-1]


def without(type: str, name: str) -> Callable[[list[Event]], list[Event]]:
    def doctored(events: list[Event]) -> list[Event]:
        del events[at(events, type, name)]
        return events

    return doctored


def twice(type: str, name: str) -> Callable[[list[Event]], list[Event]]:
    def doctored(events: list[Event]) -> list[Event]:
        number = at(events, type, name)
        return [*events[: number + 1], *events[number:]]

    return doctored


def b_starts_first(events: list[Event]) -> list[Event]:
    start, done = at(events, "task.started", ".b"), at(events, "task.completed", ".a")
    event = events.pop(start)
    events.insert(done, event)
    return events


def the_end_comes_early(events: list[Event]) -> list[Event]:
    (number,) = [n for n, event in enumerate(events) if event.type == "workflow.completed"]
    event = events.pop(number)
    events.insert(at(events, "task.started", ".c"), event)
    return events


def the_end_comes_twice(events: list[Event]) -> list[Event]:
    (end,) = [event for event in events if event.type == "workflow.completed"]
    return [*events, end]


def no_end(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type != "workflow.completed"]


async def test_a_true_history_has_no_problems(told: tuple[list[Event], list[Task]]) -> None:
    events, tasks = told
    assert problems_in(events, tasks) == []


LIES = {
    "created twice": (twice("task.created", ".a"), "was created before"),
    "never created": (without("task.created", ".b"), "was never created"),
    "two holders": (twice("task.started", ".b"), "somebody holds it already"),
    "completed twice": (twice("task.completed", ".b"), "it is completed already"),
    "completed by nobody": (without("task.started", ".b"), "nobody held it"),
    "a dependency without an end": (without("task.completed", ".b"), "before what it depends on"),
    "given back twice": (twice("task.released", ".a"), "nobody held it"),
    "a task without an end": (without("task.completed", ".c"), "tasks without an outcome"),
    "begun too early": (b_starts_first, "before what it depends on"),
    "a workflow that ends too early": (the_end_comes_early, "tasks without an outcome"),
    "a workflow that ends twice": (the_end_comes_twice, "has told of workflow.completed already"),
    "a workflow without an end": (no_end, "tells of no end"),
}


@pytest.mark.parametrize(("doctored", "found"), LIES.values(), ids=LIES)
async def test_a_doctored_history_is_found_out(
    told: tuple[list[Event], list[Task]], doctored: Callable[[list[Event]], list[Event]], found: str
) -> None:
    events, tasks = told
    assert any(found in problem for problem in problems_in(renumbered(doctored([*events])), tasks))


async def test_a_gap_in_the_numbers_is_found(told: tuple[list[Event], list[Task]]) -> None:
    events, tasks = told
    assert any("follows event" in problem for problem in problems_in(events[:3] + events[4:], tasks))


async def test_a_record_that_the_log_does_not_bear_out_is_found(told: tuple[list[Event], list[Task]]) -> None:
    events, tasks = told
    other = [tasks[0].model_copy(update={"status": "failed"}), *tasks[1:]]
    assert any("the log says completed" in problem for problem in problems_in(events, other))
