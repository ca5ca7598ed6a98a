"""The whole store as JSON lines, and back; and records that come from elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Final

from mycelium import rules
from mycelium.client.arrivals import FORMAT, Arrivals, read_export
from mycelium.client.base import Base
from mycelium.errors import InvalidInput
from mycelium.models import Event, Task, Workflow
from mycelium.rules.fitting import misfits

TASK_SCHEMA: Final = (
    "id",
    "type",
    "status",
    "assigned_to",
    "depends_on",
    "payload",
    "created_at",
    "updated_at",
    "result",
    "error",
)
"""The fields of a task for other programs, in their order."""


class Transfer(Base):
    """Move a store from one backend to another."""

    async def export(self) -> AsyncGenerator[str]:
        """Every record and event as it is at one moment: one JSON object a line.

        The first line names the format, the last one says how many stand between, so that a cut is noticed.
        """
        yield json.dumps({"kind": "mycelium", "format": FORMAT})
        count = 0
        async for each in self.backend.dump():
            kind = "event" if isinstance(each, Event) else each.kind
            yield f'{{"kind":"{kind}",{each.model_dump_json(exclude_defaults=True)[1:]}'
            count += 1
        yield json.dumps({"kind": "end", "count": count})

    async def export_tasks(self) -> AsyncGenerator[str]:
        """Every task as it is at one moment, oldest first: a JSON array, each task in the task schema on one line.

        The schema has `id`, `type`, `status`, `assigned_to` (or else the agent that holds it), `depends_on`, `payload`,
        `created_at`, `updated_at`, `result` and `error`. What else Mycelium knows is not in it: only an `export` can
        be loaded again.
        """
        last: Task | None = None
        yield "["
        async for each in self.backend.dump():
            if isinstance(each, Task):
                if last is not None:
                    yield f"{_in_task_schema(last)},"
                last = each
        if last is not None:
            yield _in_task_schema(last)
        yield "]"

    async def load(self, lines: AsyncIterable[str]) -> int:
        """Take over an export, all or nothing, with its ids, versions and event numbers.

        Returns how many records and events there were.

        Raises:
            InvalidInput: a line is not of an export or does not fit the others, or its end is missing; names the line.
            Conflict: this store already has a history, or one of the records.
        """
        return await self.take_over(await read_export(lines))

    async def take_over(self, arrivals: Arrivals) -> int:
        """The same with an export that was read before, by `mycelium.client.arrivals.read_export`.

        Raises:
            Conflict: this store already has a history, or one of the records.
        """
        await self._commit(lambda view: rules.take_over(view, arrivals.records, arrivals.history))
        return len(arrivals)

    async def take_in(self, records: Sequence[Task | Workflow]) -> int:
        """Add tasks and workflows that were kept elsewhere, all or nothing, as they are; events tell of them.

        The store may have others already. Returns how many there were.

        Raises:
            InvalidInput: one does not fit the others; names it.
            Conflict: the store has one of that id already.
        """
        if (wrong := next(misfits(records), None)) is not None:
            kind, key = wrong.record.kind, wrong.record.key
            raise InvalidInput(f"{kind} {key} {wrong.says}.", hint="Nothing was stored: mend it first.", id=key)
        await self._commit(lambda view: rules.take_in(view, records))
        return len(records)


def _in_task_schema(task: Task) -> str:
    fields = {**task.model_dump(mode="json", include={*TASK_SCHEMA}), "assigned_to": task.assigned_to or task.agent}
    return json.dumps({name: fields[name] for name in TASK_SCHEMA}, ensure_ascii=False)
