"""What an export brings, checked line by line and as a whole before any store is touched."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic_core import from_json

from mycelium.errors import InvalidInput
from mycelium.models import Agent, Event, Record, Task, Trigger, Workflow, validated
from mycelium.rules.fitting import misfits

FORMAT: Final = 1
KINDS: Final[dict[str, type[Record | Event]]] = {
    "task": Task,
    "agent": Agent,
    "workflow": Workflow,
    "trigger": Trigger,
    "event": Event,
}


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The records and the log of another store, whole and fitting each other."""

    records: list[Record]
    history: list[Event]

    def __len__(self) -> int:
        return len(self.records) + len(self.history)


async def read_export(lines: AsyncIterable[str]) -> Arrivals:
    """Read an export to its end.

    Raises:
        InvalidInput: a line is not of an export, its record does not fit the others, or the end is missing; names
            the line.
    """
    reading = _Reading()
    async for line in lines:
        reading.take(line)
    return reading.whole()


class _Reading:
    """What has come of an export so far."""

    def __init__(self) -> None:
        self._line = 0
        self._records: dict[tuple[str, str], Record] = {}
        self._lines: list[int] = []
        """Where each record stood."""
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
        elif (item.kind, item.key) in self._records:
            raise _unreadable(self._line, f"{item.kind} {item.key} is there twice")
        else:
            self._records[item.kind, item.key] = item
            self._lines.append(self._line)

    def whole(self) -> Arrivals:
        """All of it, if the end has come, nothing is missing before and everything fits."""
        arrived = Arrivals([*self._records.values()], self._history)
        if self._announced != len(arrived):
            said = "its end is missing" if self._announced is None else f"{self._announced} were announced"
            what = f"the export is cut short: {len(arrived)} records and events came, {said}"
            raise _unreadable(self._line, what)
        wrong = next(misfits(arrived.records), None)
        if wrong is not None:
            at = next(index for index, record in enumerate(arrived.records) if record is wrong.record)
            raise _unreadable(self._lines[at], f"{wrong.record.kind} {wrong.record.key} {wrong.says}")
        return arrived


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
