"""A workflow's tasks in steps: each step waits only for those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

from mycelium.models import Task, TaskStatus

MANY: Final = 12
"""A step of more tasks is summed up, with only those of its tasks shown that are worth a look."""
WORTH: Final[Sequence[TaskStatus]] = ("running", "failed")
FEW: Final = 6
"""How many of a large step's tasks are shown in each status that is worth a look."""
ORDER: Final[Sequence[TaskStatus]] = ("running", "failed", "completed", "pending", "cancelled", "skipped")


@dataclass(frozen=True, slots=True)
class Step:
    """Tasks that nothing but the steps before keeps from running at once."""

    tasks: Sequence[Task]

    @property
    def large(self) -> bool:
        return len(self.tasks) > MANY

    @property
    def shown(self) -> Sequence[Task]:
        """The tasks that get a line of their own."""
        if not self.large:
            return self.tasks
        return [task for status in WORTH for task in [each for each in self.tasks if each.status == status][:FEW]]

    @property
    def counts(self) -> Mapping[TaskStatus, int]:
        """How many tasks are in each status that any is in."""
        found = [task.status for task in self.tasks]
        return {status: found.count(status) for status in ORDER if status in found}

    @property
    def progress(self) -> float:
        """From 0 to 1; a task that has an outcome counts as done."""
        return sum(task.progress if task.open else 1.0 for task in self.tasks) / len(self.tasks)


def steps_of(tasks: Sequence[Task]) -> list[Step]:
    """The steps, first to last; the tasks of each in the order they were declared."""
    by_id = {task.id: task for task in tasks}
    place = {key: number for number, key in enumerate(by_id)}
    sorter = TopologicalSorter({task.id: [key for key in task.depends_on if key in by_id] for task in tasks})
    try:
        sorter.prepare()
    except CycleError:  # no rule lets one in, but an import may, and then its owner wants to see it
        return [Step(tasks)]
    steps: list[Step] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        steps.append(Step([by_id[key] for key in ready]))
        sorter.done(*ready)
    return steps


def waits_for(task: Task, before: Step | None) -> Sequence[str]:
    """The dependencies that are worth saying: none if they are just the whole step before."""
    expected = {each.id for each in before.tasks} if before else set[str]()
    return () if set(task.depends_on) == expected else task.depends_on
