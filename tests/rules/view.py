"""A view of a few records, for rules that are tried by themselves."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, cast

from mycelium.models import OPEN, Record, Task, TaskStatus
from mycelium.rules import NO_TERMS, Change, Terms, Waiter

R = TypeVar("R", bound=Record)
T = TypeVar("T")

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class TableView:
    """See `mycelium.rules.View`; `apply` makes a change to it."""

    records: dict[tuple[str, str], Record] = field(default_factory=dict[tuple[str, str], Record])
    now: datetime = NOW
    terms: Terms = NO_TERMS
    changes: list[tuple[TaskStatus, TaskStatus]] = field(default_factory=list[tuple[TaskStatus, TaskStatus]])
    """Every change of a task's status that was applied."""

    def apply(self, change: Change[T]) -> T:
        for record in change.puts:
            before = self.records.get((record.kind, record.key))
            if isinstance(before, Task) and isinstance(record, Task) and before.status != record.status:
                self.changes.append((before.status, record.status))
            self.records[record.kind, record.key] = record
        return change.result

    def tasks(self) -> list[Task]:
        return [record for record in self.records.values() if isinstance(record, Task)]

    def get(self, kind: type[R], key: str) -> R | None:
        return cast("R | None", self.records.get((kind.kind, key)))

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        return [self.get(kind, key) for key in keys]

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        by_key = {task.idempotency_key: task for task in self.tasks()}
        return [by_key.get(key) for key in keys]

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        blocked = [task for task in self.tasks() if task.blocked]
        return [[Waiter(task.id, task.run_when) for task in blocked if key in task.depends_on] for key in task_ids]

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        task = self.get(Task, task_id)
        keys = task.depends_on if task else ()
        return any(key not in settled and (other := self.get(Task, key)) and other.open for key in keys)

    def has_room(self, agent: str) -> bool:
        most = self.terms.max_tasks
        return most is None or sum(task.agent == agent for task in self.tasks()) < most

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        assert statuses <= OPEN | {"failed", "cancelled"}
        return any(
            task.workflow_id == workflow_id and task.status in statuses and task.id not in besides
            for task in self.tasks()
        )
