"""What a rule may read, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from mycelium.errors import NotFound
from mycelium.models import Event, Record, RunWhen, Task, TaskStatus

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
        Event.whole(
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


def require(view: View, kind: type[R], key: str) -> R:
    """The record under this key.

    Raises:
        NotFound: there is none.
    """
    record = view.get(kind, key)
    if record is None:
        raise NotFound(kind.kind, key)
    return record
