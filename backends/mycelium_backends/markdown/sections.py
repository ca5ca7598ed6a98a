"""The body of a file: a head, and sections under `## ` headings, in which people may write too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from mycelium_backends.markdown.front import Unreadable

Fields = Mapping[str, Any]

BRIEF: Final = 16 * 1024
"""JSON of up to this many bytes is written over several lines."""
BOX: Final = re.compile(r"\s*[-*+] \[([ xX])\] (.*)")
OURS: Final = re.compile(r"Work \(\d+ %\)")
ITEM: Final = re.compile(r"[-*+] ([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?: \(.*)?")
STARTED: Final = re.compile(r" \(started: [^()]*\)$")
BRACE: Final = re.compile(r" {0,3}\{")
"""Where an object begins. Further to the right stands what is within one whose beginning was lost."""
VALUE: Final = re.compile(r' {0,3}(?:[\[{"]|-?\d|true\b|false\b)')
"""Where any value begins that is not null."""
REST: Final = re.compile(r"\s*[\]}]")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
"""What ends a line, or makes git take a file for a program's."""
WORD: Final = re.compile(r"_.+_$")
FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
MARKS: Final = {
    "pending": "PENDING ⏳",
    "running": "RUNNING 🔄",
    "completed": "COMPLETED ✅",
    "failed": "FAILED ❌",
    "cancelled": "CANCELLED 🚫",
    "skipped": "SKIPPED ⏭️",
}


@dataclass(frozen=True, slots=True)
class Glance:
    """What a file tells of another task."""

    type: str
    status: str
    started: str | None = None


Others = Mapping[str, Glance]
"""The tasks that a record names, by id."""


class Section(Protocol):
    """One of our sections: what it shows, and which of its lines are ours."""

    @property
    def name(self) -> str: ...

    @property
    def field(self) -> str:
        """The field of the record that it holds; empty where it only shows."""
        ...

    @property
    def required(self) -> bool:
        """Whether a file that Mycelium wrote always has a value in it."""
        ...

    def lines(self, fields: Fields, others: Others) -> Sequence[str] | None:
        """Our lines, fresh; None to leave the section out."""
        ...

    def ours(self, lines: Sequence[str]) -> Sequence[int]:
        """The places of our lines among these."""
        ...

    def read(self, lines: Sequence[str]) -> object:
        """The field's value; None where the section has none."""
        ...


@dataclass(frozen=True, slots=True)
class JsonSection:
    """A JSON object, or a word in its place. With other `begins` any value that begins so."""

    name: str
    field: str
    instead: Mapping[str, str] | None = None
    """What stands there without an object, for each status; the section is left out without this."""
    empty: bool = False
    """Whether an empty object is the default."""
    begins: re.Pattern[str] = BRACE

    @property
    def required(self) -> bool:
        return self.empty

    def lines(self, fields: Fields, others: Others) -> Sequence[str] | None:
        value = fields.get(self.field, {} if self.empty else None)
        if value is None:
            return None if self.instead is None else [f"_{self.instead[fields['status']]}_"]
        brief = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return (json.dumps(value, ensure_ascii=False, indent=2) if len(brief) <= BRIEF else brief).split("\n")

    def ours(self, lines: Sequence[str]) -> Sequence[int]:
        begin = _first(lines, self.begins)
        if begin is None:
            word = _first(lines, WORD)
            return [] if word is None else [word]
        _, used = self._object("\n".join(lines[begin:]))
        return range(begin, begin + used)

    def read(self, lines: Sequence[str]) -> object:
        begin = _first(lines, self.begins)
        if begin is None:
            self._check_empty(lines)
            return None
        value, used = self._object("\n".join(lines[begin:]))
        if _first(lines[begin + used :], REST) is not None:
            raise Unreadable(f"under {self.name!r} something of JSON stands behind an object")
        return value

    def _check_empty(self, lines: Sequence[str]) -> None:
        """Text in the place of the object is one that went wrong; where the section may be left out, it is a note."""
        text = next((line for line in lines if line.strip() and FENCE.match(line) is None), None)
        if text is not None and (self.empty or self.instead is not None) and _first(lines, WORD) is None:
            raise Unreadable(f"under {self.name!r} stands no JSON object, but {text.strip()[:40]!r}")

    def _object(self, text: str) -> tuple[object, int]:
        """The object that begins here, and how many lines it takes."""
        try:
            value, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip(" ")))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"under {self.name!r} stands no JSON: {error}") from None
        rest = text[end:].partition("\n")[0].strip()
        if rest:
            raise Unreadable(f"under {self.name!r} something stands behind the JSON: {rest[:40]!r}")
        return value, text.count("\n", 0, end) + 1


def _first(lines: Sequence[str], pattern: re.Pattern[str]) -> int | None:
    """The place of the first line that begins like this."""
    return next((n for n, line in enumerate(lines) if pattern.match(line)), None)


@dataclass(frozen=True, slots=True)
class TaskSection:
    """Tasks by their ids, with what is to be told of each."""

    name: str
    field: str
    status: bool
    """Whether to tell how each stands."""
    required: bool = False

    def lines(self, fields: Fields, others: Others) -> Sequence[str] | None:
        ids = cast("Sequence[str]", fields.get(self.field, ()))
        return [self._line(key, others.get(key)) for key in ids] if ids else ["_None._"]

    def _line(self, key: str, other: Glance | None) -> str:
        if other is None:
            return f"- {key}"
        return f"- {key} ({other.type}) - {MARKS[other.status]}" if self.status else f"- {key} ({other.type})"

    def ours(self, lines: Sequence[str]) -> Sequence[int]:
        return [n for n, line in enumerate(lines) if ITEM.fullmatch(line.rstrip()) or line == "_None._"]

    def read(self, lines: Sequence[str]) -> object:
        return [found[1] for line in lines if (found := ITEM.fullmatch(line.rstrip()))] or None


@dataclass(frozen=True, slots=True)
class ActiveSection:
    """What an agent says that it works on; with the time since when, where that is a task it holds."""

    name: str
    field: str
    required: bool = False

    def lines(self, fields: Fields, others: Others) -> Sequence[str] | None:
        texts = cast("Sequence[str]", fields.get(self.field, ()))
        return [f"- {_quoted(text)}{_since(others.get(text))}" for text in texts] if texts else ["_None._"]

    def ours(self, lines: Sequence[str]) -> Sequence[int]:
        return [n for n, line in enumerate(lines) if line.startswith("- ") or line == "_None._"]

    def read(self, lines: Sequence[str]) -> object:
        return [_active(line) for line in lines if line.startswith("- ")] or None

    def keeping(self, old: Sequence[str], fresh: Sequence[str]) -> Sequence[str]:
        """The fresh lines; where they know no time since when, with the one that the old lines tell."""
        told = {_active(line): line for line in old if line.startswith("- ") and STARTED.search(line)}
        return [line if STARTED.search(line) else told.get(_active(line), line) for line in fresh]


def _active(line: str) -> str:
    return _unquoted(STARTED.sub("", line[2:]))


def _since(task: Glance | None) -> str:
    return f" (started: {task.started})" if task and task.started else ""


def _quoted(text: str) -> str:
    """A text on one line; as JSON where it would not be read back as it is."""
    plain = text == text.strip() != "" and CONTROL.search(text) is None
    return text if plain and not text.startswith('"') and not STARTED.search(text) else json.dumps(text)


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise Unreadable(f"a quoted text is not JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class ProgressSection:
    """Check-boxes. Ours is one of them; where people add theirs, those tell the progress."""

    name: str = "Progress"
    field: str = ""
    required: bool = False

    def lines(self, fields: Fields, others: Others) -> Sequence[str] | None:
        progress = float(fields.get("progress", 0.0))
        return [f"- [{'x' if progress == 1 else ' '}] Work ({int(progress * 100)} %)"]

    def ours(self, lines: Sequence[str]) -> Sequence[int]:
        boxes = [(n, found) for n, line in enumerate(lines) if (found := BOX.fullmatch(line.rstrip()))]
        return [n for n, found in boxes if OURS.fullmatch(found[2])] if boxes else []

    def read(self, lines: Sequence[str]) -> object:
        return None

    def ticks(self, lines: Sequence[str]) -> tuple[int, int]:
        """How many boxes are ticked, and how many there are."""
        boxes = [found for line in lines if (found := BOX.fullmatch(line.rstrip()))]
        theirs = [found for found in boxes if not OURS.fullmatch(found[2])] or boxes
        return sum(found[1] != " " for found in theirs), len(theirs)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a body: the head (without a name) or a section, its heading line first."""

    name: str
    lines: tuple[str, ...]


def parts_of(body: str) -> list[Part]:
    """The head and every section, in their order. What is within a code fence heads nothing.

    Raises:
        Unreadable: a code fence does not end, so that what heads a section cannot be told.
    """
    parts = [Part("", ())]
    fence = ""
    lines: list[str] = []
    for line in body.split("\n"):
        fence = _fence_after(fence, line)
        if line.startswith("## ") and not fence:
            parts[-1] = Part(parts[-1].name, tuple(lines))
            parts.append(Part(line[3:].strip(), ()))
            lines = []
        lines.append(line)
    if fence:
        raise Unreadable(f"a code fence ({fence}) does not end")
    parts[-1] = Part(parts[-1].name, tuple(lines))
    return parts


def _fence_after(fence: str, line: str) -> str:
    """The code fence that is open behind this line; empty if none is."""
    found = FENCE.match(line.rstrip())
    if found is None:
        return fence
    closes = found[1].startswith(fence) and not found[2]
    return found[1] if not fence else "" if closes else fence


def renewed(part: Part, section: Section, fields: Fields, others: Others) -> Part:
    """The part with our lines fresh, and people's where they were."""
    fresh = section.lines(fields, others)
    inner = part.lines[1:]
    if isinstance(section, JsonSection) and _same(section.read(inner), fields.get(section.field), section):
        return part
    old = section.ours(inner)
    if isinstance(section, ActiveSection):
        fresh = section.keeping(inner, fresh or ())
    if isinstance(section, ProgressSection) and not old and section.ticks(inner)[1]:
        return part
    at = old[0] if old else 1 if inner and not inner[0].strip() else 0
    kept = [line for n, line in enumerate(inner) if n not in set(old)]
    return Part(part.name, (part.lines[0], *kept[:at], *(fresh or ()), *kept[at:]))


def _same(mine: object, wanted: object, section: JsonSection) -> bool:
    if mine is None or wanted is None:
        return False
    return json.dumps(mine) == json.dumps(wanted)


def fresh_part(section: Section, fields: Fields, others: Others) -> list[str]:
    """The whole section as we write it; nothing where it is left out."""
    lines = section.lines(fields, others)
    return [] if lines is None else [f"## {section.name}", "", *lines, ""]
