"""JSON with the place of every key and value in its text, for messages that name the line.

No library at hand does this: the JSON readers forget places, and a YAML reader, which keeps them, trips over tabs.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, TypeAlias

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_NOT_JSON: Final = frozenset({"NaN", "Infinity", "-Infinity"})
"""What Python's reader takes for numbers all the same."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something begins, both counted from 1; columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Field:
    """A key of an object, where it stands, and its value."""

    key: str
    at: Place
    value: Placed


@dataclass(frozen=True, slots=True)
class Fields:
    """An object's fields as they stand there, those that are there twice among them."""

    all: tuple[Field, ...]


Value: TypeAlias = "str | int | float | bool | tuple[Placed, ...] | Fields | None"


@dataclass(frozen=True, slots=True)
class Placed:
    """A value, and where it begins."""

    value: Value
    at: Place


class NotJson(ValueError):
    """The text is no JSON, from this place on."""

    def __init__(self, says: str, at: Place) -> None:
        super().__init__(says)
        self.says = says
        self.at = at


def placed(text: str) -> Placed:
    """The JSON value in a text.

    Raises:
        NotJson: there is none, or something besides.
    """
    try:
        json.loads(text)
        return _Scanner(text).value()
    except json.JSONDecodeError as error:
        raise NotJson(_words(error, text), Place(error.lineno, error.colno)) from None
    except RecursionError:
        raise NotJson("it is nested too deeply", Place(1, 1)) from None
    except NotJson:
        raise
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise NotJson("it has a number that is too long", Place(1, 1)) from None


def _words(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "it is empty"
    if text[error.pos : error.pos + 2] in ("//", "/*"):
        return "comments are not JSON: leave them out"
    if text[error.pos : error.pos + 1] in "]}" and text[: error.pos].rstrip().endswith(","):
        return "a comma before the end is not JSON: leave it out"
    return f"it is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"


class _Scanner:
    """Reads what is known to be JSON."""

    def __init__(self, text: str) -> None:
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._tokens = _TOKEN.finditer(text)

    def _next(self) -> tuple[str, Place]:
        found = next(self._tokens)
        line = bisect_right(self._lines, found.start())
        return found.group(), Place(line, found.start() - self._lines[line - 1] + 1)

    def value(self) -> Placed:
        return self._value_of(*self._next())

    def _value_of(self, token: str, at: Place) -> Placed:
        if token == "{":
            return Placed(self._fields(), at)
        if token == "[":
            return Placed(self._items(), at)
        if token in _NOT_JSON:
            raise NotJson(f"it is not JSON: {token} is no value", at)
        return Placed(json.loads(token), at)

    def _items(self) -> tuple[Placed, ...]:
        items: list[Placed] = []
        while True:
            token, at = self._next()
            if token == "]":
                return tuple(items)
            if token != ",":
                items.append(self._value_of(token, at))

    def _fields(self) -> Fields:
        fields: list[Field] = []
        while True:
            token, at = self._next()
            if token == "}":
                return Fields(tuple(fields))
            if token != ",":
                self._next()  # the colon
                fields.append(Field(json.loads(token), at, self.value()))
