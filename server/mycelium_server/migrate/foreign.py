"""What all task servers have in common: groups of tasks that wait on each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, ValidationError

from mycelium.errors import InvalidInput
from mycelium.models import Priority

Standing: TypeAlias = Literal["open", "done", "cancelled", "unknown"]
"""What a status means here. With one that nobody knows, a task could be begun that must not be."""

PRIORITIES: Final[dict[str, Priority]] = {"low": "low", "medium": "normal", "high": "high", "critical": "critical"}
"""What others call them; what is not here is normal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTask:
    """A task as its file has it. Ids are those of the file, unique within the group."""

    id: str
    title: str
    standing: Standing
    payload: dict[str, JsonValue]
    """Everything that the file says of it."""
    type: str = "task"
    note: str = ""
    depends_on: tuple[str, ...] = ()
    parent: str | None = None
    """The task that this one is a part of: the parent waits for it, and it waits for what the parent waits for."""
    priority: Priority = "normal"
    assigned_to: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    outcome: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """What a done task came to, or why it was cancelled."""
    file: str = ""
    """Where it stands, if it has a file of its own."""
    place: str = ""
    """Where in its group's file it stands, otherwise: names and numbers with dots between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignGroup:
    """Tasks that belong together: a project, a tag, a folder."""

    id: str
    tasks: tuple[ForeignTask, ...]
    place: str = ""
    """Where in the file it stands, as for tasks."""
    in_a_row: bool = False
    """Whether each waits on the one before it."""
    done: bool = False
    metadata: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class Foreign:
    """All that was found at one place."""

    program: str
    file: str
    groups: tuple[ForeignGroup, ...]
    statuses: tuple[str, ...]
    """All that tasks may have there, in that program's words."""


class Form(BaseModel):
    """A part of a foreign file: what is needed of it is checked, whatever else it has is kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


F = TypeVar("F", bound=Form)
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
"""What a file calls a task, or a group of them."""
WORDS: Final = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
}
"""What is wrong, by the checker's word for it, in words for whoever has the file before them."""


def formed(form: type[F], value: object, file: str, place: str = "") -> F:
    """The value in this form. `place` is where in the file it stands, with a dot behind.

    Raises:
        InvalidInput: it has another; names the file and the place in it.
    """
    try:
        return form.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise unusable(file, f"{place[:200]}{where} {WORDS.get(first['type'], first['msg'])}") from None


def unusable(file: str, says: str, **data: object) -> InvalidInput:
    """The error for a foreign file that cannot be taken in."""
    return InvalidInput(
        f"{file}: {says}.", hint="Mend it there and import again; nothing was stored.", file=file, **data
    )


def moment(text: object) -> datetime | None:
    """A time in ISO 8601; one without a zone is taken for UTC. None for anything else."""
    try:
        at = datetime.fromisoformat(text.strip()) if isinstance(text, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
