"""A change in the making, and what the events in it say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from typing import TypeVar, cast

from mycelium.models import Record, Task, TaskStatus, Workflow
from mycelium.rules.view import Change, NewEvent, View, Waiter

T = TypeVar("T")
R = TypeVar("R", bound=Record)


class Draft:
    """A change in the making, which sees what it has already put."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.puts: dict[tuple[str, str], Record] = {}
        self.events: list[NewEvent] = []
        self.keyed: dict[str, Task] = {}
        """The tasks among `puts` that have an idempotency key, by it."""
        self.starting: list[str] = []
        """Tasks among `puts` that nothing stands in the way of and that a workflow of their own is to do."""
        self._read: dict[tuple[str, str], Record | None] = {}
        self._read_by_key: dict[str, Task | None] = {}
        self._waiting: dict[str, dict[str, None]] = {}
        """For each task, those that this draft has blocked and that wait on it."""
        self._parts: dict[str, dict[str, TaskStatus]] = {}
        """For each workflow, the tasks of it among `puts`, and what they are there."""
        self._counts: dict[str, Counter[TaskStatus]] = {}
        """How many of them there are in each status."""

    def read(self, kind: type[R], keys: Sequence[str]) -> None:
        """Read these records in one journey, since each will be asked for by itself."""
        missing = [key for key in keys if (kind.kind, key) not in self.puts and (kind.kind, key) not in self._read]
        if missing:
            found = self.view.get_all(kind, missing)
            self._read.update(zip(((kind.kind, key) for key in missing), found, strict=True))

    def read_by_idempotency_key(self, keys: Sequence[str]) -> None:
        """Read the tasks with these idempotency keys in one journey."""
        self._read_by_key.update(zip(keys, self.view.tasks_by_idempotency_key(keys), strict=True))

    def put(self, record: R) -> R:
        """Take this record into the draft. However often it is put, its version grows by one."""
        where = record.kind, record.key
        before = self.puts.get(where)
        if before is not None and before.version != record.version:
            record = record.altered(version=before.version)
        self.puts[where] = record
        if isinstance(record, Task):
            self._note(record)
        return record

    def _note(self, task: Task) -> None:
        if task.idempotency_key is not None:
            self.keyed[task.idempotency_key] = task
        if task.blocked:
            for key in task.depends_on:
                self._waiting.setdefault(key, {})[task.id] = None
        if task.workflow_id is not None:
            parts, counts = self._parts.setdefault(task.workflow_id, {}), self._of(task.workflow_id)
            if task.id in parts:
                counts[parts[task.id]] -= 1
            parts[task.id] = task.status
            counts[task.status] += 1

    def _of(self, workflow_id: str) -> Counter[TaskStatus]:
        return self._counts.setdefault(workflow_id, Counter())

    def _forget(self, task: Task) -> None:
        if task.idempotency_key is not None:
            self.keyed.pop(task.idempotency_key, None)
        if task.workflow_id is not None:
            self._counts[task.workflow_id][self._parts[task.workflow_id].pop(task.id)] -= 1

    def waiters(self, tasks: Sequence[Task]) -> list[list[Waiter]]:
        """For each of these tasks, those that wait on it as the draft has it."""
        # The store knows nobody who waits on a task that this very change creates.
        known = [task.id for task in tasks if task.version > 1]
        stored = dict(zip(known, self.view.waiters(known), strict=True)) if known else {}
        return [self._waiters(task.id, stored.get(task.id, ())) for task in tasks]

    def _waiters(self, key: str, stored: Sequence[Waiter]) -> list[Waiter]:
        here = [task for other in self._waiting.get(key, ()) if (task := self._changed(other)) and task.blocked]
        found = {waiter.task_id: waiter for waiter in stored if self._changed(waiter.task_id) is None}
        return [*found.values(), *(Waiter(task.id, task.run_when) for task in here)]

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        """Whether this blocked task also waits on a task that is not in `settled`."""
        task = self._changed(task_id)
        if task is None:
            return self.view.waits_on_others(task_id, settled)
        # Backwards, since they are settled in their order: so the first look mostly finds one.
        return any(key not in settled and self._unsettled(key) for key in reversed(task.depends_on))

    def _unsettled(self, key: str) -> bool:
        """Whether a task is open, or has ended in this change and its turn to be settled is still to come."""
        if self._changed(key) is not None:
            return True
        task = self.get(Task, key)
        return task is not None and task.open

    def _changed(self, task_id: str) -> Task | None:
        return cast("Task | None", self.puts.get((Task.kind, task_id)))

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus]) -> bool:
        """Whether the workflow has a task in one of these statuses, as the draft has it."""
        counts = self._counts.get(workflow_id, Counter())
        if any(counts[status] for status in statuses):
            return True
        workflow = self.puts.get((Workflow.kind, workflow_id))
        new = workflow is not None and workflow.version == 1
        return not new and self.view.workflow_has(workflow_id, statuses, self._parts.get(workflow_id, {}).keys())

    def get(self, kind: type[R], key: str) -> R | None:
        where = (kind.kind, key)
        found = self.puts.get(where) or self._read.get(where)
        if found is None and where not in self._read:
            found = self.view.get(kind, key)
        return cast("R | None", found)

    def task_by_idempotency_key(self, key: str) -> Task | None:
        if key not in self.keyed and key not in self._read_by_key:
            self.read_by_idempotency_key([key])
        return self.keyed.get(key) or self._read_by_key[key]

    def event(self, channel: str, type: str, source: str | None, **data: object) -> None:
        said = {name: value for name, value in data.items() if value is not None}
        self.events.append(NewEvent(channel, type, source, said))

    def mark(self) -> tuple[int, int, int]:
        """Where the draft stands, for `back_to`."""
        return len(self.puts), len(self.events), len(self.starting)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Forget all records that were new to the draft since then, and the events; what was changed is not undone."""
        records, events, starting = mark
        while len(self.puts) > records:
            _, record = self.puts.popitem()
            if isinstance(record, Task):
                self._forget(record)
        del self.events[events:], self.starting[starting:]

    def change(self, result: T) -> Change[T]:
        return Change(result, puts=tuple(self.puts.values()), events=self.events)


def about(task: Task) -> dict[str, object]:
    """What every event on a task says."""
    return {
        "task_id": task.id, "task_type": task.type, "workflow_id": task.workflow_id, "hops": task.hops or None,
    }  # fmt: skip


def about_workflow(workflow: Workflow) -> dict[str, object]:
    """What every event on a workflow says."""
    return {"workflow_id": workflow.id, "workflow_type": workflow.type, "hops": workflow.hops or None}
