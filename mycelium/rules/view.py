"""What a rule may read, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, cast

from mycelium.errors import NotFound
from mycelium.models import Event, Record, RunWhen, Task, TaskStatus, Workflow

T = TypeVar("T")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a store demands of everyone who works on it. By default nothing."""

    max_tasks: int | None = None
    """So many tasks an agent may hold at a time."""
    task_timeout_seconds: float | None = None
    """So long an attempt may take, at tasks that say nothing of it."""


NO_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class Waiter:
    """A blocked task that waits on the one that was asked about."""

    task_id: str
    run_when: RunWhen


class View(Protocol):
    """One consistent state of the store, to be read while a change to it is worked out.

    What it shows stays true until that change is applied. It is only good within the rule it was given to.
    """

    @property
    def now(self) -> datetime:
        """The store's time, UTC. It does not move while a rule runs."""
        ...

    @property
    def terms(self) -> Terms:
        """What this store demands. Where it is opened on none, `NO_TERMS`."""
        ...

    def get(self, kind: type[R], key: str) -> R | None:
        """The record under this key."""
        ...

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        """The records under these keys, in their order: one question, where many would each take a journey."""
        ...

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        """The tasks that were created with these idempotency keys, in their order."""
        ...

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        """For each of these tasks, the blocked ones that wait on it."""
        ...

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        """Whether this blocked task also waits on a task that is not in `settled`."""
        ...

    def has_room(self, agent: str) -> bool:
        """Whether this agent holds fewer tasks than `terms.max_tasks`. Where that is None, True."""
        ...

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        """Whether the workflow has a task in one of these statuses, not counting those in `besides`."""
        ...


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that has no number yet."""

    channel: str
    type: str
    source: str | None
    data: Mapping[str, object]


def numbered(events: Sequence[NewEvent], *, after: int, store_id: str, time: datetime) -> list[Event]:
    """The events as the log of this store has them, if the last one before has the number `after`."""
    return [
        Event.model_construct(
            seq=seq, id=f"{store_id}-{seq}", channel=new.channel, type=new.type, source=new.source, time=time,
            data=new.data,
        )
        for seq, new in enumerate(events, after + 1)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a rule wants done: all of it or nothing. `result` is what its caller gets."""

    result: T
    puts: Sequence[Record] = ()
    removes: Sequence[Record] = ()
    events: Sequence[NewEvent] = ()
    history: Sequence[Event] = ()
    """Events of another store, taken over with their numbers. Only for a store that has none."""


Rule: TypeAlias = Callable[[View], Change[T]]
"""A pure function: the same view gives the same change. A backend may call it again on a fresher view."""


@dataclass(slots=True)
class Draft:
    """A change in the making, which sees what it has already put."""

    view: View
    puts: dict[tuple[str, str], Record] = field(default_factory=dict[tuple[str, str], Record])
    events: list[NewEvent] = field(default_factory=list[NewEvent])
    keyed: dict[str, Task] = field(default_factory=dict[str, Task])
    """The tasks among `puts` that have an idempotency key, by it."""
    starting: list[str] = field(default_factory=list[str])
    """Tasks among `puts` that nothing stands in the way of and that a workflow of their own is to do."""
    _read: dict[tuple[str, str], Record | None] = field(default_factory=dict[tuple[str, str], Record | None])
    _read_by_key: dict[str, Task | None] = field(default_factory=dict[str, Task | None])

    def read(self, kind: type[R], keys: Sequence[str]) -> None:
        """Read these records in one journey, since each will be asked for by itself."""
        missing = [key for key in keys if (kind.kind, key) not in self.puts and (kind.kind, key) not in self._read]
        self._read.update(zip(((kind.kind, key) for key in missing), self.view.get_all(kind, missing), strict=True))

    def read_by_idempotency_key(self, keys: Sequence[str]) -> None:
        """Read the tasks with these idempotency keys in one journey."""
        self._read_by_key.update(zip(keys, self.view.tasks_by_idempotency_key(keys), strict=True))

    def put(self, record: R) -> R:
        self.puts[record.kind, record.key] = record
        if isinstance(record, Task) and record.idempotency_key is not None:
            self.keyed[record.idempotency_key] = record
        return record

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
            if isinstance(record, Task) and record.idempotency_key is not None:
                self.keyed.pop(record.idempotency_key, None)
        del self.events[events:], self.starting[starting:]

    def change(self, result: T) -> Change[T]:
        return Change(result, puts=tuple(self.puts.values()), events=self.events)


def require(view: View, kind: type[R], key: str) -> R:
    """The record under this key.

    Raises:
        NotFound: there is none.
    """
    record = view.get(kind, key)
    if record is None:
        raise NotFound(kind.kind, key)
    return record


def about(task: Task) -> dict[str, object]:
    """What every event on a task says."""
    return {
        "task_id": task.id, "task_type": task.type, "workflow_id": task.workflow_id, "hops": task.hops or None,
    }  # fmt: skip


def about_workflow(workflow: Workflow) -> dict[str, object]:
    """What every event on a workflow says."""
    return {"workflow_id": workflow.id, "workflow_type": workflow.type, "hops": workflow.hops or None}
