"""The seam between the library and whatever keeps its state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeAlias, TypeVar

from mycelium.errors import BackendUnavailable
from mycelium.models import ClaimRequest, Due, Event, EventQuery, Page, Query, Record, Stats, Task
from mycelium.rules import Change, Rule, View

T = TypeVar("T")
R = TypeVar("R", bound=Record)

Clock: TypeAlias = Callable[[], datetime]
"""Tells the present time in UTC. A backend that has a clock of its own (a server's) may pass it by."""

Grant: TypeAlias = Callable[[View, Task], Change[Task]]
"""The rule that turns the task a backend has picked into a lease."""


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What a rule answered, and the events it caused, as the log has them."""

    result: T
    events: Sequence[Event] = ()


def closed(url: str) -> BackendUnavailable:
    """What every call on a closed backend raises."""
    return BackendUnavailable(f"{url} was closed.", hint="Open it for as long as you need it.", url=url)


class Bell(Protocol):
    """Rings when the store may have changed, in this process or another."""

    async def wait(self) -> None:
        """Return at the next ring, or at once if it rang since the last wait.

        Only a hint: it may ring for nothing, so read again from your cursor; a change is never without a ring,
        though it may come some time after it.
        """
        ...


class Backend(Protocol):
    """Keeps records and the event log. It holds no rule: it applies those it is given, each whole or not at all.

    Every method raises `StoreError` leaves where the store itself fails, and nothing of its driver's; after `aclose`
    all of them raise `closed`.
    """

    @property
    def mode(self) -> str:
        """What kind of store it is, such as `memory` or `sqlite`."""
        ...

    @property
    def url(self) -> str:
        """Where it is, as one would open it, without secrets."""
        ...

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        """The records under these keys, in their order."""
        ...

    async def find(self, query: Query[R]) -> Page[R]:
        """One page of the records that match.

        Raises:
            InvalidCursor: `query.cursor` is not one that this call gave.
        """
        ...

    async def commit(self, rule: Rule[T]) -> Committed[T]:
        """Let `rule` work out a change on the latest state and apply it with its events, all or nothing.

        No other change comes between what the rule saw and what it did. Durable on return. What the rule raises
        comes out as it is, and nothing has happened then.

        Raises:
            Conflict: a record that the rule creates exists; or, from a backend that tries again when others were
                faster, they were so too often.
        """
        ...

    async def claim(self, request: ClaimRequest, grant: Grant) -> Committed[Task] | None:
        """Give the most urgent, oldest ready task that fits to this claimer alone; None when there is none.

        Two callers never receive the same lease. Durable on return.

        Raises:
            Conflict: others were faster too often, as in `commit`.
        """
        ...

    async def waiting_on(self, task_id: str, limit: int) -> list[str]:
        """The dependencies that this blocked task still waits on."""
        ...

    async def events(self, query: EventQuery) -> list[Event]:
        """A part of the log."""
        ...

    async def last_seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        ...

    async def due(self, limit: int) -> Due:
        """Records whose `due_at` has come, the longest due first, and when the next one's comes."""
        ...

    def dump(self) -> AsyncIterator[Record | Event]:
        """Everything as it is at one moment: records in the order of their creation, then the whole log.

        Not the housekeeper's record, which says something of processes, not of work.
        """
        ...

    def changes(self) -> AbstractAsyncContextManager[Bell]:
        """A bell for the time of this context."""
        ...

    async def stats(self) -> Stats:
        """Counts of what is stored."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and let go of every resource. Safe to call twice."""
        ...
