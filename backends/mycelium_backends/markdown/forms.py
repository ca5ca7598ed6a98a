"""How each kind of record is written as a file, and read from one. A file is the whole record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from mycelium.models import Agent, Record, Task, Trigger, Workflow
from mycelium.models.base import is_id
from mycelium_backends.markdown import front
from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.sections import (
    VALUE,
    ActiveSection,
    Fields,
    JsonSection,
    Others,
    ProgressSection,
    Section,
    TaskSection,
    fresh_part,
    parts_of,
    renewed,
)

NUMBERS: Final = frozenset(
    {"version", "max_attempts", "retry_backoff", "timeout_seconds", "blocked", "progress", "attempt", "token", "ttl",
     "seconds", "tokens", "turns", "paused", "hops", "failures", "seconds_left", "fired", "times", "seq", "armed"}
)  # fmt: skip
"""Fields whose values are numbers or yes and no; everything else in front matter is a text."""
MOMENTS: Final = frozenset(
    {"created_at", "updated_at", "started_at", "not_before", "last_updated", "expires_at", "at", "recovers_at",
     "timeout_at", "last_fired_at", "next_at"}
)  # fmt: skip
CONFLICT: Final = re.compile(r"^<{7} .*^>{7} ", re.MULTILINE | re.DOTALL)
NO_RESULT: Final = {
    "pending": "Not started.",
    "running": "In progress...",
    "paused": "Paused.",
    "compensating": "Being undone...",
    "completed": "No result.",
    "failed": "Failed.",
    "cancelled": "Cancelled.",
    "skipped": "Skipped.",
}


@dataclass(frozen=True, slots=True)
class Form:
    """The look of one kind of file."""

    kind: type[Record]
    title: str
    """The field that the title names."""
    named: Mapping[str, str]
    """Fields that the front matter calls by another name."""
    first: Sequence[str]
    """The keys that head the front matter, written also where they have their default."""
    bold: Mapping[str, str]
    """The lines of the head that show a field."""
    sections: Sequence[Section]

    @property
    def heading(self) -> str:
        return self.kind.kind.capitalize()

    @property
    def keys(self) -> frozenset[str]:
        """All keys of the front matter that are ours."""
        inside = {section.field for section in self.sections}
        return frozenset(self.named.get(name, name) for name in self.kind.model_fields if name not in inside)


TASK: Final = Form(
    kind=Task,
    title="type",
    named={"created_at": "created", "updated_at": "updated", "started_at": "started"},
    first=("id", "type", "status", "assigned_to", "created", "updated", "version"),
    bold={"Type": "type", "Status": "status", "Assigned To": "assigned_to"},
    sections=(
        TaskSection("Dependencies", "depends_on", status=True),
        JsonSection("Condition", "condition"),
        JsonSection("Payload", "payload", empty=True),
        JsonSection("Template", "template"),
        JsonSection("For Each", "for_each", begins=VALUE),
        JsonSection("Workflow", "workflow"),
        JsonSection("Undo", "undo"),
        ProgressSection(),
        JsonSection("Result", "result", instead=NO_RESULT),
        JsonSection("Error", "error"),
    ),
)
AGENT: Final = Form(
    kind=Agent,
    title="name",
    named={"name": "agent"},
    first=("agent", "status", "last_updated", "version"),
    bold={"Status": "status", "Last Updated": "last_updated"},
    sections=(ActiveSection("Active Tasks", "active_tasks"), JsonSection("Metadata", "metadata", empty=True)),
)
WORKFLOW: Final = Form(
    kind=Workflow,
    title="type",
    named={"created_at": "created", "updated_at": "updated"},
    first=("id", "type", "status", "mode", "created", "updated", "version"),
    bold={"Type": "type", "Status": "status"},
    sections=(
        TaskSection("Tasks", "tasks", status=False),
        JsonSection("Metadata", "metadata", empty=True),
        JsonSection("Result", "result", instead=NO_RESULT),
        JsonSection("Error", "error"),
    ),
)
TRIGGER: Final = Form(
    kind=Trigger,
    title="id",
    named={"created_at": "created", "updated_at": "updated"},
    first=("id", "status", "created", "updated", "version", "fired"),
    bold={"Status": "status"},
    sections=(JsonSection("When", "when"), JsonSection("Then", "then")),
)
FORMS: Final[Mapping[str, Form]] = {form.kind.kind: form for form in (TASK, AGENT, WORKFLOW, TRIGGER)}


@dataclass(frozen=True, slots=True)
class Said:
    """What a file says: the fields of its record, not yet checked."""

    fields: dict[str, Any]
    ticks: tuple[int, int]
    """Boxes ticked, and boxes in all."""

    @property
    def written(self) -> bool:
        """Whether a Mycelium wrote it, rather than a person."""
        return "version" in self.fields


def write(record: Record, others: Others) -> str:
    """The file of a record, as it is without anything of people's in it."""
    form, fields = FORMS[record.kind], _fields_of(record)
    shown = _shown(form, fields)
    head = [f"# {form.heading}: {fields[form.title]}", ""]
    head += [f"**{label}**: {_bold(fields.get(name))}" for label, name in form.bold.items()]
    body = [line for section in form.sections for line in fresh_part(section, fields, others)]
    return f"---\n{front.write(shown)}---\n\n" + "\n".join([*head, "", *body])


def rewrite(text: str, record: Record, others: Others) -> str:
    """The file with the record's present values in it; what people wrote stays where it was."""
    form, fields = FORMS[record.kind], _fields_of(record)
    old, body = front.split(_unix(text))
    merged = front.merge(old, _shown(form, fields), form.keys)
    head, *parts = parts_of(body)
    lines = _head(form, fields, head.lines)
    sections = {section.name: section for section in form.sections}
    for part in parts:
        section = sections.pop(part.name, None)
        lines += part.lines if section is None else renewed(part, section, fields, others).lines
    for section in sections.values():
        if fresh := fresh_part(section, fields, others):
            lines += ["", *fresh] if lines and lines[-1].strip() else fresh
    return _ended_like(text, f"---\n{merged}---\n" + "\n".join(lines))


def read(kind: str, text: str) -> Said:
    """What the file says.

    Raises:
        Unreadable: it cannot be understood; says why.
    """
    form = FORMS[kind]
    text = _unix(text)
    if CONFLICT.search(text):
        raise Unreadable("it has git's conflict markers (<<<<<<<, >>>>>>>)")
    matter, body = front.split(text)
    said = front.load(matter)
    fields: dict[str, Any] = {
        name: _typed(name, said[key]) for name in form.kind.model_fields if (key := form.named.get(name, name)) in said
    }
    parts = {part.name: part.lines[1:] for part in reversed(parts_of(body)[1:])}
    ticks = (0, 0)
    for section in form.sections:
        lines = parts.get(section.name, ())
        if isinstance(section, ProgressSection):
            ticks = section.ticks(lines)
        elif (value := section.read(lines)) is not None:
            fields[section.field] = value
        elif section.required and "version" in fields:
            raise Unreadable(f"it has no object under '## {section.name}'; write {{}} there for none")
    return Said(fields, ticks)


def key_of(kind: str, key: str, said: Said) -> str:
    """The id of the record, which the file's name, by itself `key`, and its front matter have to agree on.

    Raises:
        Unreadable: they do not.
    """
    field = "name" if kind == "agent" else "id"
    wanted = said.fields.setdefault(field, key)
    if wanted not in (key, f"{kind}-{key}"):
        raise Unreadable(f"its front matter says {FORMS[kind].named.get(field, field)} {wanted!r}, its name {key!r}")
    if not is_id(wanted):
        raise Unreadable(f"{key!r} is not a valid id")
    return wanted


def completed(kind: type[Record], fields: Mapping[str, Any], key: str, now: datetime) -> dict[str, Any]:
    """The fields of a file that a person wrote, with what need not be said in one."""
    fields = dict(fields)
    for name in {"created_at", "updated_at", "last_updated"} & kind.model_fields.keys():
        fields.setdefault(name, now)
    if "type" in kind.model_fields:
        fields.setdefault("type", key)
    return fields


def _typed(name: str, value: object) -> object:
    """A value of the front matter, where all scalars are texts, as the record wants it."""
    if isinstance(value, dict):
        return {key: _typed(key, each) for key, each in cast("dict[str, object]", value).items()}
    if not isinstance(value, str):
        return value
    if name in MOMENTS:
        return _moment(name, value)
    if name not in NUMBERS:
        return value
    try:
        return cast("object", json.loads(value))
    except ValueError:
        return value


def _moment(name: str, value: str) -> str:
    try:
        zone = datetime.fromisoformat(value).tzinfo
    except ValueError:
        return value  # the record's type says what is wrong
    if zone is None:
        raise Unreadable(f"{name} has no time zone: write it like 2030-01-31T09:30:00Z")
    return value


def ticks_of(text: str) -> tuple[int, int]:
    """The boxes of a task's file."""
    part = next((part for part in parts_of(_unix(text)) if part.name == "Progress"), None)
    return ProgressSection().ticks(part.lines[1:]) if part else (0, 0)


def _fields_of(record: Record) -> dict[str, Any]:
    return {**record.model_dump(mode="json", exclude_defaults=True), **_always(record)}


def _always(record: Record) -> dict[str, Any]:
    shown = {"version": record.version}
    for name in ("status", "mode", "type"):
        if name in type(record).model_fields:
            shown[name] = getattr(record, name)
    return shown


def _shown(form: Form, fields: Fields) -> dict[str, object]:
    """The front matter's keys and values, in their order."""
    inside = {section.field for section in form.sections}
    named = {form.named.get(name, name): value for name, value in fields.items() if name not in inside}
    first = {key: named[key] for key in form.first if key in named}
    return {**first, **{key: value for key, value in named.items() if key not in first}}


def _head(form: Form, fields: Fields, lines: Sequence[str]) -> list[str]:
    """The head with what it shows brought up to date; made where there is none."""
    title = f"# {form.heading}: {fields[form.title]}"
    if not any(line.startswith("# ") for line in lines):
        bold = [f"**{label}**: {_bold(fields.get(name))}" for label, name in form.bold.items()]
        return ["", title, "", *bold, *(lines if lines and not lines[0].strip() else ["", *lines])]
    return [_renewed_line(form, fields, line, title) for line in lines]


def _renewed_line(form: Form, fields: Fields, line: str, title: str) -> str:
    if line.startswith(f"# {form.heading}: "):
        return title
    for label, name in form.bold.items():
        if line.startswith(f"**{label}**:"):
            return f"**{label}**: {_bold(fields.get(name))}"
    return line


def _bold(value: object) -> str:
    return "anyone" if value is None else cast("str", value)


def _unix(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _ended_like(text: str, fresh: str) -> str:
    """The fresh text with its lines ended as most lines of the other are."""
    return fresh.replace("\n", "\r\n") if 2 * text.count("\r\n") > text.count("\n") else fresh
