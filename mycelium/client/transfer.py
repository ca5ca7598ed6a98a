"""The whole store as JSON lines, and back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Any, Final, cast

from pydantic_core import from_json

from mycelium.client.base import Base
from mycelium.errors import Conflict, InvalidInput
from mycelium.models import Agent, Event, Record, Task, Workflow, validated
from mycelium.rules import Change, View

FORMAT: Final = 1
KINDS: Final[dict[str, type[Record | Event]]] = {
    "task": Task,
    "agent": Agent,
    "workflow": Workflow,
    "event": Event,
}


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

    async def load(self, lines: AsyncIterable[str]) -> int:
        """Take over an export, all or nothing, with its ids, versions and event numbers.

        Returns how many records and events there were.

        Raises:
            InvalidInput: a line is not of an export, or its end is missing; names the line.
            Conflict: this store already has a history, or one of the records.
        """
        arrivals = _Arrivals()
        async for line in lines:
            arrivals.take(line)
        puts, history = arrivals.whole()
        await self._commit(lambda view: _take_over(view, puts, history))
        return len(puts) + len(history)


class _Arrivals:
    """What has come of an export so far."""

    def __init__(self) -> None:
        self._line = 0
        self._puts: dict[tuple[str, str], Record] = {}
        self._history: list[Event] = []
        self._announced: int | None = None

    def take(self, line: str) -> None:
        self._line += 1
        if not line.strip():
            return
        kind, fields = _parse(line, self._line)
        if self._announced is not None:
            raise _unreadable(self._line, "it stands behind the end of the export")
        if kind == "mycelium":
            _check_format(fields, self._line)
        elif kind == "end":
            self._announced = fields.get("count")
        else:
            self._add(_item(kind, fields, self._line))

    def _add(self, item: Record | Event) -> None:
        if isinstance(item, Event):
            if item.seq <= (self._history[-1].seq if self._history else 0):
                raise _unreadable(self._line, f"event {item.seq} does not follow the one before")
            self._history.append(item)
        elif (item.kind, item.key) in self._puts:
            raise _unreadable(self._line, f"{item.kind} {item.key} is there twice")
        else:
            self._puts[item.kind, item.key] = item

    def whole(self) -> tuple[list[Record], list[Event]]:
        """All of it, if the end has come and nothing is missing before."""
        count = len(self._puts) + len(self._history)
        if self._announced != count:
            said = "its end is missing" if self._announced is None else f"{self._announced} were announced"
            raise _unreadable(self._line, f"the export is cut short: {count} records and events came, {said}")
        return [*self._puts.values()], self._history


def _take_over(view: View, puts: Sequence[Record], history: Sequence[Event]) -> Change[None]:
    taken = next((record for record in puts if view.get(type(record), record.key)), None)
    if taken is not None:
        raise Conflict(f"{taken.kind} {taken.key} exists.", hint="Import into a new store.", id=taken.key)
    return Change(None, puts=puts, history=history)


def _parse(line: str, number: int) -> tuple[str, dict[str, Any]]:
    """The kind of a line, and its other fields."""
    try:
        value: Any = from_json(line)
    except ValueError as error:
        raise _unreadable(number, f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise _unreadable(number, "not a JSON object")
    fields = cast("dict[str, Any]", value)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in {"mycelium", "end", *KINDS}:
        raise _unreadable(number, f"unknown kind {kind!r}")
    return kind, fields


def _check_format(fields: dict[str, Any], number: int) -> None:
    if fields.get("format") != FORMAT:
        raise _unreadable(number, f"format {fields.get('format')!r}, this Mycelium reads {FORMAT}")


def _item(kind: str, fields: dict[str, Any], number: int) -> Record | Event:
    try:
        return validated(KINDS[kind], **fields)
    except InvalidInput as error:
        raise _unreadable(number, error.message.rstrip(".")) from None


def _unreadable(number: int, what: str) -> InvalidInput:
    return InvalidInput(f"Line {number}: {what}.", hint="Give it what `mycelium export` wrote.", line=number)
