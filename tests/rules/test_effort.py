"""What a change costs grows with the workflow, not with its square: told by counting, not by a clock."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import pytest

from mycelium import rules
from mycelium.models import Record, Task, Trigger, Workflow, WorkflowTask
from mycelium.rules import Change
from tests.rules.view import NOW, TableView

R = TypeVar("R", bound=Record)


def workflow_of(view: TableView, tasks: list[Any], **fields: Any) -> Change[Workflow]:
    workflow = Workflow(id="w", type="w", created_at=NOW, updated_at=NOW, **fields)
    return rules.create_workflow(view, workflow, [WorkflowTask.model_validate(task) for task in tasks])


def fan(size: int) -> list[Any]:
    names = [f"n{number}" for number in range(size)]
    return [*({"name": name} for name in names), {"name": "last", "depends_on": names, "run_when": "all_done"}]


def chain(size: int) -> list[Any]:
    return [{"name": f"n{number}", "depends_on": [f"n{number - 1}"] if number else []} for number in range(size)]


def empty_lists(size: int) -> list[Any]:
    names = [f"n{number}" for number in range(size)]
    return [*({"name": name, "for_each": []} for name in names), {"name": "last", "depends_on": names}]


def nested(size: int) -> list[Any]:
    return [{"name": "each", "for_each": [*range(size)], "workflow": {"type": "inner", "tasks": ["a", "b"]}}]


def cancelled(view: TableView) -> Change[Workflow]:
    return rules.finish_workflow(view, "w", "cancelled", by=None)


def retried(view: TableView) -> Change[Workflow]:
    view.apply(cancelled(view))
    return rules.retry_workflow(view, "w", by=None)


def paused(view: TableView) -> Change[Workflow]:
    return rules.pause_workflow(view, "w", by=None)


def first_failed(view: TableView) -> Change[Task]:
    task = next(task for task in view.tasks() if task.ready(view.now))
    claimed = view.apply(rules.claim_task(view, task.id, agent="ada", seconds=10))
    return rules.fail_task(view, task.id, token=claimed.token, error={"error": "x"}, retry=False)


def effort(work: Callable[[], object]) -> int:
    """How many instructions the rules take for this, so that no loop is overlooked."""
    count = 0

    def note(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        if "mycelium/rules" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", [fan, chain, empty_lists, nested])
@pytest.mark.parametrize("change", [None, cancelled, retried, paused, first_failed])
def test_twice_the_tasks_are_about_twice_the_work(
    shape: Callable[[int], list[Any]], change: Callable[[TableView], Change[Any]] | None
) -> None:
    steps: list[int] = []
    for size in (40, 80):
        view, tasks = TableView(), shape(size)
        if change is None:
            steps.append(effort(lambda view=view, tasks=tasks: workflow_of(view, tasks, on_failure="stop")))
            continue
        view.apply(workflow_of(view, tasks, on_failure="stop"))
        steps.append(effort(lambda view=view, change=change: change(view)))
    assert steps[1] < 2.5 * steps[0] + 100, steps


@dataclass
class FarView(TableView):
    """A store that takes a journey for every question."""

    journeys: int = 0

    def get(self, kind: type[R], key: str) -> R | None:
        self.journeys += 1
        return super().get(kind, key)

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        self.journeys += 1
        return [TableView.get(self, kind, key) for key in keys]

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        self.journeys += bool(keys)
        return super().tasks_by_idempotency_key(keys)


@pytest.mark.parametrize("then", [{"task": {"type": "t"}}, {"workflow": {"type": "w", "tasks": ["a", "b"]}}])
def test_ticks_that_are_made_up_for_take_few_journeys_however_many_they_are(then: dict[str, Any]) -> None:
    journeys: list[int] = []
    for ticks in (2, 200):
        trigger = Trigger.model_validate({
            "id": "g", "then": then, "when": {"schedule": {"every_seconds": 1, "missed": "run_all"}},
            "created_at": NOW, "updated_at": NOW, "next_at": NOW,
        })  # fmt: skip
        view = FarView({("trigger", "g"): trigger}, now=NOW + timedelta(seconds=ticks - 1))
        assert rules.fire_on_time(view, "g", id="x").result == ticks
        journeys.append(view.journeys)
    assert journeys[0] == journeys[1] <= 3
