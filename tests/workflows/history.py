"""Reads a store's log and says what in it cannot be, if the promises about work are kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mycelium.models import Event, Task

ENDS: Final = frozenset({"task.completed", "task.failed", "task.cancelled", "task.skipped"})
GIVES_BACK: Final = frozenset({"task.released", "task.expired", "task.retrying"})
WORKFLOW_ENDS: Final = frozenset({"workflow.completed", "workflow.failed", "workflow.cancelled"})


@dataclass
class _Life:
    """What the log has told of one task so far."""

    created: int = 0
    running: bool = False
    attempts: int = 0
    outcome: str | None = None


@dataclass
class History:
    """The checks, event by event. `problems` is empty if all is well."""

    tasks: Mapping[str, Task]
    problems: list[str] = field(default_factory=list[str])
    _lives: dict[str, _Life] = field(default_factory=dict[str, _Life])
    _workflows: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _last: int = 0

    def read(self, events: Iterable[Event]) -> list[str]:
        """Go over the whole log. What is wrong with it."""
        for event in events:
            if event.seq != self._last + 1:
                self._wrong(event, f"follows event {self._last}")
            self._last = event.seq
            self._of_task(event)
            self._of_workflow(event)
        self._at_the_end()
        return self.problems

    def _wrong(self, event: Event, what: str) -> None:
        self.problems.append(f"event {event.seq} {event.type} {event.data.get('task_id', '')}: {what}")

    def _of_task(self, event: Event) -> None:
        id = event.data.get("task_id")
        if not isinstance(id, str) or not event.type.startswith("task."):
            return
        life = self._lives.setdefault(id, _Life())
        if event.type == "task.created":
            life.created += 1
            if life.created > 1:
                self._wrong(event, "was created before")
        elif not life.created:
            self._wrong(event, "was never created")
        if event.type == "task.started":
            self._started(event, id, life)
        elif event.type in GIVES_BACK:
            if not life.running:
                self._wrong(event, "nobody held it")
            life.running = False
        elif event.type in ENDS:
            self._ended(event, life)

    def _started(self, event: Event, id: str, life: _Life) -> None:
        if life.running:
            self._wrong(event, "somebody holds it already")
        if life.outcome is not None:
            self._wrong(event, f"it is {life.outcome} already")
        early = [key for key in self.tasks[id].depends_on if not self._is_done(id, key)] if id in self.tasks else []
        if early:
            self._wrong(event, f"before what it depends on: {', '.join(early[:3])}")
        life.running, life.attempts = True, life.attempts + 1

    def _is_done(self, id: str, dependency: str) -> bool:
        """Whether a dependency has ended as this task wants it. `any_failed` may start before the others end."""
        outcome = self._lives.get(dependency, _Life()).outcome
        if self.tasks[id].run_when == "all_succeeded":
            return outcome == "completed"
        return outcome is not None or self.tasks[id].run_when == "any_failed"

    def _ended(self, event: Event, life: _Life) -> None:
        if life.outcome is not None:
            self._wrong(event, f"it is {life.outcome} already")
        if event.type == "task.completed" and not life.running:
            self._wrong(event, "nobody held it")
        life.outcome, life.running = event.type.removeprefix("task."), False

    def _of_workflow(self, event: Event) -> None:
        id = event.data.get("workflow_id")
        if not isinstance(id, str) or not event.type.startswith("workflow."):
            return
        told = self._workflows.setdefault(id, [])
        if event.type in WORKFLOW_ENDS:
            if told:
                self._wrong(event, f"workflow {id} has told of {told[-1]} already")
            told.append(event.type)
            unfinished = [key for key, task in self.tasks.items() if task.workflow_id == id and self._is_open(key)]
            if unfinished:
                self._wrong(event, f"workflow {id} has tasks without an outcome: {', '.join(unfinished[:3])}")

    def _is_open(self, key: str) -> bool:
        return self._lives.get(key, _Life()).outcome is None

    def _at_the_end(self) -> None:
        """What the records say must be what the log has told."""
        for id, task in self.tasks.items():
            life = self._lives.get(id, _Life())
            if not life.created:
                self.problems.append(f"{id}: the log never told of it")
            elif (life.outcome or "open") != ("open" if task.open else task.status):
                self.problems.append(f"{id} is {task.status}, but the log says {life.outcome or 'open'}")
        self.problems += [f"workflow {id}: the log tells of no end" for id, told in self._workflows.items() if not told]


def problems_in(events: Iterable[Event], tasks: Iterable[Task]) -> list[str]:
    """What in this log cannot be, these tasks being the ones that are there at its end."""
    return History({task.id: task for task in tasks}).read(events)
