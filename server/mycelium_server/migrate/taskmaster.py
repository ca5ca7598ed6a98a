"""The `tasks.json` of Task Master: tags with tasks, which have subtasks; older files have no tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final, TypeAlias, cast

from pydantic import BeforeValidator, JsonValue, PlainValidator
from pydantic_core import PydanticCustomError

from mycelium_server.migrate.foreign import (
    PRIORITIES,
    Foreign,
    ForeignGroup,
    ForeignTask,
    Form,
    Standing,
    formed,
    moment,
)

PROGRAM: Final = "Task Master"
STATUSES: Final[dict[str, Standing]] = {
    "pending": "open",
    "todo": "open",
    "in-progress": "open",
    "review": "open",
    "blocked": "open",
    "deferred": "open",
    "done": "done",
    "completed": "done",
    "cancelled": "cancelled",
}
LATER: Final = frozenset({"blocked", "deferred"})
"""Statuses of open tasks that others go before: what blocks them is known to people, not to the file."""
PLAIN: Final = frozenset({"pending", "todo"})
"""Statuses of open tasks that need no note."""


def _nothing_as_empty(value: object) -> object:
    return () if value is None else value


def _key(value: object) -> int | str:
    """A number or a text as it is, and nothing that could be taken for one, such as `true`."""
    if (isinstance(value, str) and value) or type(value) is int:
        return value
    raise PydanticCustomError("key", "must be a number or a text")


Key: TypeAlias = Annotated[int | str, PlainValidator(_key)]
Keys: TypeAlias = Annotated[tuple[Key, ...], BeforeValidator(_nothing_as_empty)]


class MasterTask(Form):
    """A task or a subtask."""

    id: Key
    title: str = ""
    status: str = "pending"
    dependencies: Keys = ()
    priority: str | None = None
    subtasks: Annotated[tuple[MasterTask, ...], BeforeValidator(_nothing_as_empty)] = ()


class Tag(Form):
    """A list of tasks under a name."""

    tasks: tuple[MasterTask, ...]


def is_master(data: object) -> bool:
    """Whether this is such a file's content."""
    return isinstance(data, dict) and bool(_tags(cast("dict[str, object]", data)))


def read_master(data: object, file: str) -> Foreign:
    """The content of such a file.

    Raises:
        InvalidInput: a task in it is not in that form.
    """
    content = cast("dict[str, object]", data)
    older = isinstance(content.get("tasks"), list)
    places = {name: "" if older else f"{name}." for name in _tags(content)}
    tags = {name: formed(Tag, tag, file, places[name]) for name, tag in _tags(content).items()}
    rest = {} if older else {name: value for name, value in content.items() if name not in tags}
    return Foreign(
        PROGRAM, file, tuple(_group(name, tag, rest, places[name]) for name, tag in tags.items()), tuple(STATUSES)
    )


def _tags(content: dict[str, object]) -> dict[str, object]:
    """What has a list of tasks, by name; a file without tags is all one tag, which Task Master calls `master`."""
    if isinstance(content.get("tasks"), list):
        return {"master": content}
    return {
        name: value
        for name, value in content.items()
        if isinstance(value, dict) and isinstance(cast("dict[str, object]", value).get("tasks"), list)
    }


def _group(name: str, tag: Tag, rest: dict[str, object], place: str) -> ForeignGroup:
    """`rest` is what the file has besides tags."""
    tasks = tuple(
        each for number, task in enumerate(tag.tasks) for each in _with_subtasks(task, f"{place}tasks.{number}", None)
    )
    about = {"tag": name, **tag.model_dump(exclude={"tasks"}, exclude_unset=True, mode="json"), **rest}
    return ForeignGroup(id=name, tasks=tasks, metadata=cast("dict[str, JsonValue]", about))


def _with_subtasks(task: MasterTask, place: str, parent: MasterTask | None, above: str = "") -> Iterator[ForeignTask]:
    """The subtasks first, as they are to be worked on before it. `above` is the parent's full id."""
    full = f"{above}.{task.id}" if parent else str(task.id)
    for number, subtask in enumerate(task.subtasks):
        yield from _with_subtasks(subtask, f"{place}.subtasks.{number}", task, full)
    yield replace(_task(task, full, parent, above), place=place)


def _task(task: MasterTask, full: str, parent: MasterTask | None, above: str) -> ForeignTask:
    standing = STATUSES.get(task.status, "unknown")
    said = {} if standing == "open" else {"status": task.status}
    extra = task.model_extra or {}
    return ForeignTask(
        id=full,
        title=task.title,
        type="subtask" if parent else "task",
        standing=standing,
        payload=task.model_dump(exclude={"subtasks"}, exclude_unset=True, mode="json"),
        note="" if standing != "open" or task.status in PLAIN else f"{task.status} in {PROGRAM}",
        depends_on=tuple(_dependency(str(key), parent, above) for key in task.dependencies),
        parent=above or None,
        priority="low" if task.status in LATER else PRIORITIES.get(task.priority or "", "normal"),
        created_at=moment(extra.get("createdAt")),
        updated_at=moment(extra.get("updatedAt")),
        outcome=cast("dict[str, JsonValue]", said),
    )


def _dependency(key: str, parent: MasterTask | None, above: str) -> str:
    """The full id of what a task names: subtasks call their siblings by the last part alone."""
    if parent is not None and any(str(sibling.id) == key for sibling in parent.subtasks):
        return f"{above}.{key}"
    return key
