"""Questions to the store, many in one journey."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic_core import to_json

from mycelium.errors import InvalidCursor
from mycelium.models import (
    PRIORITY_RANK,
    Agent,
    AgentQuery,
    Due,
    Event,
    EventQuery,
    Page,
    Query,
    Record,
    Stats,
    Task,
    TaskQuery,
    Trigger,
    TriggerQuery,
    Workflow,
    WorkflowQuery,
)
from mycelium.models.base import is_id
from mycelium_backends.redis.connection import Connection
from mycelium_backends.redis.errors import translated
from mycelium_backends.redis.facts import Question
from mycelium_backends.redis.lane import Lane
from mycelium_backends.redis.learn import KINDS, pairs, parsed
from mycelium_backends.redis.scripts import SCHEMA, script
from mycelium_backends.redis.time import ServerClock

R = TypeVar("R", bound=Record)

LOOKED_AT = 200
"""Records that are read at a time where not every one of them matches."""
HIGHEST = 2**53


class Reader:
    """Reads records and events."""

    def __init__(self, connection: Connection, clock: ServerClock) -> None:
        self._connection = connection
        self._clock = clock
        self._lane = Lane[bytes, Any](self._send, len)

    async def ask(self, question: Question) -> Any:
        """The answer of `read.lua` to this question."""
        answer = await self._lane.ask(self.written(question))
        if isinstance(answer, Exception):
            raise translated(answer, self._connection.url)
        return answer

    @staticmethod
    def written(question: Question) -> bytes:
        """The question as the scripts read it."""
        return to_json(question)

    async def finish(self) -> None:
        """Wait until all questions are answered."""
        await self._lane.finish()

    async def get(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        if not keys:
            return []
        answer = await self.ask(["get", kind.kind, keys])
        return [None if body is None else parsed(kind, body) for body in answer]

    async def find(self, query: Query[R]) -> Page[R]:
        match cast("object", query):
            case AgentQuery() as wanted:
                page = await self._find_agents(wanted)
            case TaskQuery() as wanted:
                if wanted.ready:
                    await self.ask(["wake", _text(self._clock())])
                page = await self._walk(Task, _index_of_tasks(wanted), wanted)
            case WorkflowQuery() as wanted:
                page = await self._walk(Workflow, _index_by_status("workflows", wanted.status), wanted)
            case TriggerQuery() as wanted:
                page = await self._walk(Trigger, _index_by_status("triggers", wanted.status), wanted)
            case _:
                raise TypeError(type(query))
        return cast("Page[R]", page)

    async def _find_agents(self, query: AgentQuery) -> Page[Agent]:
        if query.cursor is not None and not is_id(query.cursor):
            raise _no_cursor(query.cursor)
        after = query.cursor or ""
        found: list[Agent] = []
        while len(found) <= query.limit:
            bodies = await self.ask(["agents", after, LOOKED_AT])
            agents = [parsed(Agent, body) for body in bodies]
            found += [agent for agent in agents if query.status in (None, agent.status)]
            if len(agents) < LOOKED_AT:
                break
            after = agents[-1].name
        page = found[: query.limit]
        return Page(page, page[-1].name if len(found) > query.limit else None)

    async def _walk(self, kind: type[Record], index: str, query: Query[Any]) -> Page[Record]:
        """Go through an index from its newest record until a page is full."""
        below = HIGHEST if query.cursor is None else await self._number_in(query.cursor, kind)
        now = self._clock()
        found: list[tuple[int, Record]] = []
        size = query.limit + 1
        while len(found) <= query.limit:
            numbers, bodies, more = await self.ask(["page", kind.kind, index, str(below), size])
            records = [(int(n), parsed(kind, body)) for n, body in zip(numbers, bodies, strict=True)]
            found += [(n, record) for n, record in records if _matches(record, query, now)]
            if not more:
                break
            below, size = int(numbers[-1]), max(size, LOOKED_AT)
        page = found[: query.limit]
        return Page([record for _, record in page], str(page[-1][0]) if len(found) > query.limit else None)

    async def _number_in(self, cursor: str, kind: type[Record]) -> int:
        proper = cursor.isascii() and cursor.isdigit() and len(cursor) < 16 and str(int(cursor)) == cursor
        if not proper or not await self.ask(["has", f"{kind.kind}s", cursor]):
            raise _no_cursor(cursor)
        return int(cursor)

    async def waiting_on(self, task_id: str, limit: int) -> list[str]:
        ((_, some),) = await self.ask(["waits", [task_id], limit])
        return sorted(each.decode() for each in some)

    async def events(self, query: EventQuery) -> list[Event]:
        channels = list(dict.fromkeys(query.channels))
        answer = await self.ask(["events", channels, str(query.after), query.limit, query.newest])
        return [parsed(Event, body) for body in answer]

    async def last_seq(self) -> int:
        return int(await self.ask(["last_seq"]))

    async def due(self, limit: int) -> Due:
        now = self._clock()
        found, next_at = await self.ask(["due", _text(now), limit])
        records = [parsed(KINDS[kind.decode()], body) for kind, body in found]
        return Due(records, None if next_at is None else datetime.fromtimestamp(float(next_at), now.tzinfo))

    async def stats(self, mode: str) -> Stats:
        answer = await self.ask(["stats", _text(self._clock())])
        tasks, agents, workflows, triggers, queues, last_seq = answer
        return Stats(
            mode=mode,
            url=self._connection.url,
            tasks=cast("Any", _counted(tasks)),
            ready=sum(queues),
            queues={priority: count for priority, count in zip(PRIORITY_RANK, queues, strict=True) if count},
            agents=cast("Any", _counted(agents)),
            workflows=cast("Any", _counted(workflows)),
            triggers=cast("Any", _counted(triggers)),
            last_seq=int(last_seq),
        )

    async def _send(self, questions: Sequence[bytes]) -> Sequence[Any]:
        return await self._connection.run(script("read"), SCHEMA, *questions)


def _index_of_tasks(query: TaskQuery) -> str:
    """The narrowest index that has all that match."""
    if query.held_by is not None:
        return f"tasks:held:{query.held_by}"
    if query.workflow_id is not None:
        return f"tasks:workflow:{query.workflow_id}"
    if query.assigned_to is not None:
        return f"tasks:assigned:{query.assigned_to}"
    if query.ready:
        return "ready"
    return _index_by_status("tasks", query.status)


def _index_by_status(kinds: str, status: str | None) -> str:
    return kinds if status is None else f"{kinds}:status:{status}"


def _matches(record: Record, query: Query[Any], now: datetime) -> bool:
    if not isinstance(record, Task) or not isinstance(query, TaskQuery):
        return True
    text = f"{record.id}\n{record.type}\n{record.title}".lower()
    return (
        query.status in (None, record.status)
        and (not query.ready or record.ready(now))
        and query.assigned_to in (None, record.assigned_to)
        and query.held_by in (None, record.agent)
        and query.workflow_id in (None, record.workflow_id)
        and (query.search is None or query.search.lower() in text)
    )


def _text(moment: datetime) -> str:
    """Seconds, to the last digit: scripts write numbers with fewer."""
    return repr(moment.timestamp())


def _counted(flat: Sequence[bytes]) -> dict[str, int]:
    return {status: count for status, count in pairs(flat).items() if count}


def _no_cursor(cursor: str) -> InvalidCursor:
    return InvalidCursor(f"{cursor[:40]!r} is not a cursor of this listing.", hint="Use the cursor of the last reply.")
