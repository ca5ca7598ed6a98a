"""The memory backend: one process, gone when it ends. For tests and for trying things out.

It finds everything by looking at everything: the plainest thing that keeps the promises of the seam.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import uuid4

from anyio import lowlevel

from mycelium.backend import Bell, Clock, Committed, Grant, closed
from mycelium.errors import Conflict, InvalidCursor
from mycelium.models import (
    PRIORITY_RANK,
    Agent,
    AgentQuery,
    ClaimRequest,
    Due,
    Event,
    EventQuery,
    Keeper,
    Page,
    Priority,
    Query,
    Record,
    Stats,
    Task,
    TaskQuery,
    TaskStatus,
    Trigger,
    TriggerQuery,
    Workflow,
    WorkflowQuery,
    lane_fits,
    validated,
)
from mycelium.models.base import Model, is_id
from mycelium.rules import NO_TERMS, Change, Rule, Terms, Waiter
from mycelium_backends.bell import Bells

T = TypeVar("T")
R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=Model)


async def open_backend(url: str, clock: Clock) -> MemoryBackend:
    """A new, empty store. `memory:` has no address: two openings are two stores."""
    return MemoryBackend(clock)


class MemoryBackend:
    """See `mycelium.backend.Backend`, whose promises these methods keep."""

    mode = "memory"
    url = "memory:"

    def __init__(self, clock: Clock, terms: Terms = NO_TERMS) -> None:
        self._clock = clock
        self._terms = terms
        self._records: dict[type[Record], dict[str, Record]] = {
            Agent: {}, Workflow: {}, Trigger: {}, Task: {}, Keeper: {},
        }  # fmt: skip
        self._log: list[Event] = []
        self._bells = Bells()
        self._id = uuid4().hex[:12]
        self._closed = False

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        return (await self._view()).get_all(kind, keys)

    async def find(self, query: Query[R]) -> Page[R]:
        view = await self._view()
        found = _matching(view, query)
        if query.cursor is not None:
            passed = _up_to(view, query, query.cursor)
            found = [record for record in found if record.key not in passed]
        page = [cast("R", _own(record)) for record in found[: query.limit]]
        return Page(page, page[-1].key if len(found) > query.limit else None)

    async def commit(self, rule: Rule[T]) -> Committed[T]:
        view = await self._view()
        return self._apply(rule(view), view.now)

    async def claim(self, request: ClaimRequest, grant: Grant) -> Committed[Task] | None:
        view = await self._view()
        fitting = [
            task
            for task in view.all(Task)
            if task.ready(view.now)
            and task.assigned_to in (None, request.agent)
            and (not request.types or task.type in request.types)
            and lane_fits(task.lane, request.queues, request.capabilities)
            and not (request.addressed and task.assigned_to is None and not task.lane)
        ]
        if not fitting:
            return None
        chosen = max(fitting, key=lambda task: PRIORITY_RANK[task.priority])
        return self._apply(grant(view, chosen), view.now)

    async def waiting_on(self, task_id: str, limit: int) -> list[str]:
        view = await self._view()
        task = view.get(Task, task_id)
        return view.open_dependencies(task)[:limit] if task else []

    async def events(self, query: EventQuery) -> list[Event]:
        await self._turn()
        later = (event for event in self._log if event.seq > query.after)
        wanted = [event for event in later if not query.channels or event.channel in query.channels]
        chosen = wanted[-query.limit :] if query.newest else wanted[: query.limit]
        return [_own(event) for event in chosen]

    async def last_seq(self) -> int:
        await self._turn()
        return self._last_seq()

    async def due(self, limit: int) -> Due:
        await self._turn()
        now = self._clock()
        timed = [(at, record) for kind in self._records.values() for record in kind.values() if (at := record.due_at)]
        timed.sort(key=lambda pair: pair[0])
        due = [record for at, record in timed if at <= now][:limit]
        return Due([_own(record) for record in due], min((at for at, _ in timed if at > now), default=None))

    async def dump(self) -> AsyncGenerator[Record | Event]:
        await self._turn()
        kinds = (records for kind, records in self._records.items() if kind is not Keeper)
        everything = [*(record for records in kinds for record in records.values()), *self._log]
        for each in everything:
            yield _own(each)

    @asynccontextmanager
    async def changes(self) -> AsyncGenerator[Bell]:
        self._check_open()
        with self._bells.hang() as bell:
            yield bell

    async def stats(self) -> Stats:
        view = await self._view()
        queues: Counter[Priority] = Counter(task.priority for task in view.all(Task) if task.ready(view.now))
        return Stats(
            mode=self.mode,
            url=self.url,
            tasks=Counter(task.status for task in view.all(Task)),
            ready=queues.total(),
            queues=dict(queues),
            agents=Counter(agent.status for agent in view.all(Agent)),
            workflows=Counter(workflow.status for workflow in view.all(Workflow)),
            triggers=Counter(trigger.status for trigger in view.all(Trigger)),
            last_seq=self._last_seq(),
        )

    async def aclose(self) -> None:
        self._closed = True
        self._bells.ring()

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.url)

    async def _turn(self) -> None:
        """Let others run first, as a store that reads and writes does: else a loop of verbs would starve deadlines."""
        await lowlevel.checkpoint()
        self._check_open()

    async def _view(self) -> MemoryView:
        await self._turn()
        return MemoryView(self._records, self._clock(), self._terms)

    def _last_seq(self) -> int:
        return self._log[-1].seq if self._log else 0

    def _apply(self, change: Change[T], now: datetime) -> Committed[T]:
        last = self._last_seq()
        if change.history and last:
            raise Conflict("This store already has a history.", hint="Import into a new store.", last_seq=last)
        seen: set[tuple[str, str]] = set()
        for record in change.puts:
            twice = (record.kind, record.key) in seen or record.key in self._records[type(record)]
            seen.add((record.kind, record.key))
            if record.version == 1 and twice:
                raise Conflict(f"{record.kind} {record.key} exists.", hint="Use another id.", id=record.key)
        events = [
            validated(
                Event, seq=seq, id=f"{self._id}-{seq}", time=now,
                channel=new.channel, type=new.type, source=new.source, data=new.data,
            )
            for seq, new in enumerate(change.events, last + 1)
        ]  # fmt: skip
        for record in change.puts:
            self._records[type(record)][record.key] = _own(record)
        for record in change.removes:
            del self._records[type(record)][record.key]
        self._log += [*map(_own, change.history), *events]
        self._bells.ring()
        return Committed(change.result, [_own(event) for event in events])


@dataclass(frozen=True, slots=True)
class MemoryView:
    """See `mycelium.rules.View`."""

    records: dict[type[Record], dict[str, Record]]
    now: datetime
    terms: Terms = NO_TERMS

    def all(self, kind: type[R]) -> Iterator[R]:
        return cast("Iterator[R]", iter(self.records[kind].values()))

    def get(self, kind: type[R], key: str) -> R | None:
        record = self.records[kind].get(key)
        return None if record is None else cast("R", _own(record))

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        return [self.get(kind, key) for key in keys]

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        return [next((_own(task) for task in self.all(Task) if task.idempotency_key == key), None) for key in keys]

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        blocked = [task for task in self.all(Task) if task.blocked]
        return [[Waiter(task.id, task.run_when) for task in blocked if key in task.depends_on] for key in task_ids]

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        task = self.get(Task, task_id)
        return task is not None and any(key not in settled for key in self.open_dependencies(task))

    def open_dependencies(self, task: Task) -> list[str]:
        tasks = cast("dict[str, Task]", self.records[Task])
        return [key for key in task.depends_on if (other := tasks.get(key)) and other.open]

    def has_room(self, agent: str) -> bool:
        most = self.terms.max_tasks
        return most is None or sum(task.agent == agent for task in self.all(Task)) < most

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        return any(
            task.workflow_id == workflow_id and task.status in statuses and task.id not in besides
            for task in self.all(Task)
        )


def _matching(view: MemoryView, query: Query[R]) -> list[Record]:
    match cast("object", query):
        case TaskQuery() as wanted:
            return [task for task in _newest(view, Task) if _task_matches(task, wanted, view.now)]
        case AgentQuery() as wanted:
            agents = sorted(view.all(Agent), key=lambda agent: agent.name)
            return [agent for agent in agents if wanted.status in (None, agent.status)]
        case WorkflowQuery() as wanted:
            return [each for each in _newest(view, Workflow) if wanted.status in (None, each.status)]
        case TriggerQuery() as wanted:
            return [each for each in _newest(view, Trigger) if wanted.status in (None, each.status)]
        case _:
            raise TypeError(type(query))


def _up_to(view: MemoryView, query: Query[R], cursor: str) -> Set[str]:
    """The keys that an earlier page gave already."""
    keys = [record.key for record in _matching(view, type(query)())]
    if isinstance(query, AgentQuery) and is_id(cursor):  # it may have been removed since
        return {key for key in keys if key <= cursor}
    if cursor not in keys:
        raise InvalidCursor(
            f"{cursor[:40]!r} is not a cursor of this listing.", hint="Use the cursor of the last reply."
        )
    return set(keys[: keys.index(cursor) + 1])


def _own(record: M) -> M:
    """A copy, so that a caller who writes into a payload does not write into the store. All but objects is frozen."""
    return record.model_copy(update={name: _fresh(each) for name, each in vars(record).items() if type(each) is dict})


def _fresh(value: Any) -> Any:
    """The same JSON, of which nobody else has any part."""
    if isinstance(value, dict):
        return {name: _fresh(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_fresh(each) for each in cast("list[Any]", value)]
    return value


def _newest(view: MemoryView, kind: type[R]) -> list[R]:
    return list(view.all(kind))[::-1]


def _task_matches(task: Task, query: TaskQuery, now: datetime) -> bool:
    text = f"{task.id}\n{task.type}\n{task.title}".lower()
    return (
        query.status in (None, task.status)
        and (not query.ready or task.ready(now))
        and query.assigned_to in (None, task.assigned_to)
        and query.held_by in (None, task.agent)
        and query.workflow_id in (None, task.workflow_id)
        and (query.search is None or query.search.lower() in text)
    )
