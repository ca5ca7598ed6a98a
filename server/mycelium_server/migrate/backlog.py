"""The folder of Backlog.md: one Markdown file for each task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, cast

from pydantic import BeforeValidator, JsonValue

from mycelium_server.migrate.files import text_of
from mycelium_server.migrate.foreign import (
    PRIORITIES,
    Foreign,
    ForeignGroup,
    ForeignTask,
    Form,
    Name,
    Standing,
    formed,
    moment,
)
from mycelium_server.migrate.markdown import front_matter, sections, yaml_in

PROGRAM: Final = "Backlog.md"
FOLDERS: Final = ("tasks", "completed")
"""Where tasks are that count; drafts are none yet, and archived ones are none any more."""
TASK_FILE: Final = re.compile(r"[A-Za-z]+-\d.*\.md", re.DOTALL)
DIGITS: Final = re.compile(r"([0-9]+)")
ENDED: Final[dict[str, Standing]] = {"done": "done", "cancelled": "cancelled", "canceled": "cancelled"}
STATUSES: Final = ("To Do", "In Progress", "Done")
"""Where none are configured."""
OUTCOME: Final = ("final_summary", "implementation_notes")
"""Sections that tell what a done task came to."""


def _listed(value: object) -> object:
    """What may be one text, several, or nothing."""
    return [value] if isinstance(value, str) and value else value or []


Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Front(Form):
    """The front matter of a task."""

    id: Name
    title: str = ""
    status: str = ""
    type: str = ""
    assignee: Texts = ()
    dependencies: Texts = ()
    priority: str = ""
    created_date: str = ""
    updated_date: str = ""
    parent_task_id: str = ""


class Config(Form):
    """What is needed of `config.yml`."""

    project_name: str = "backlog"
    default_status: str = "To Do"
    statuses: Texts = ()

    @property
    def known(self) -> tuple[str, ...]:
        """The statuses that tasks may have; the last means done, whatever it is called."""
        return self.statuses or STATUSES


def backlog_in(folder: Path) -> Path | None:
    """The folder that has the tasks, if this is one, or a project with one."""
    return next((each for each in (folder, folder / "backlog", folder / ".backlog") if _is_backlog(each)), None)


def _is_backlog(folder: Path) -> bool:
    tasks = folder / "tasks"
    return tasks.is_dir() and ((folder / "config.yml").is_file() or any(_files(tasks)))


def read_backlog(folder: Path) -> Foreign:
    """All tasks of such a folder.

    Raises:
        InvalidInput: a file in it is not in that form; names it.
    """
    config = _config(folder / "config.yml")
    found = [_read(file, config) for name in FOLDERS for file in _files(folder / name)]
    tasks = _resolved(sorted(found, key=lambda task: _natural(task.id)))
    about: dict[str, JsonValue] = {"project_name": config.project_name}
    return Foreign(PROGRAM, str(folder), (ForeignGroup(id="backlog", tasks=tasks, metadata=about),), config.known)


def _files(folder: Path) -> Iterator[Path]:
    """The tasks' files; links, which could lead anywhere, are none."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    return (each for each in entries if TASK_FILE.fullmatch(each.name) and each.is_file() and not each.is_symlink())


def _config(file: Path) -> Config:
    return formed(Config, yaml_in(text_of(file), str(file)) if file.is_file() else {}, str(file))


def _read(file: Path, config: Config) -> ForeignTask:
    head, body = front_matter(text_of(file), str(file))
    return _task(formed(Front, head, str(file)), head, sections(body), config, str(file))


def _task(front: Front, head: dict[str, Any], parts: dict[str, JsonValue], config: Config, file: str) -> ForeignTask:
    standing = _standing(front.status, config)
    plain = front.status in {"", config.default_status}
    return ForeignTask(
        id=front.id,
        title=front.title,
        type=front.type or "task",
        standing=standing,
        payload={**cast("dict[str, JsonValue]", head), **parts},
        note="" if plain or standing != "open" else f"{front.status} in {PROGRAM}",
        depends_on=front.dependencies,
        parent=front.parent_task_id or None,
        priority=PRIORITIES.get(front.priority.lower(), "normal"),
        assigned_to=front.assignee[0].lstrip("@") if len(front.assignee) == 1 else None,
        created_at=moment(front.created_date),
        updated_at=moment(front.updated_date),
        outcome=_outcome(front.status, standing, parts),
        file=file,
    )


def _standing(status: str, config: Config) -> Standing:
    word = status.casefold()
    if word == config.known[-1].casefold():
        return "done"
    if word in ENDED:
        return ENDED[word]
    return "open" if word in {"", *map(str.casefold, (config.default_status, *config.known))} else "unknown"


def _outcome(status: str, standing: Standing, parts: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if standing == "open":
        return {}
    return {"status": status, **{name: parts[name] for name in OUTCOME if name in parts}}


def _resolved(tasks: list[ForeignTask]) -> tuple[ForeignTask, ...]:
    """The tasks with ids that are there: a folder's prefix may have changed, and numbers may stand without one."""
    known = {task.id.casefold() for task in tasks}
    numbered = {_number(task.id): task.id for task in tasks}

    def full(key: str) -> str:
        return key if key.casefold() in known else numbered.get(_number(key), key)

    return tuple(
        replace(task, depends_on=tuple(map(full, task.depends_on)), parent=task.parent and full(task.parent))
        for task in tasks
    )


def _number(id: str) -> str:
    return id.rpartition("-")[2]


def _natural(id: str) -> list[tuple[int, str]]:
    """To sort `task-2` before `task-10`: of two numbers the longer is the greater, however long they are."""
    words = DIGITS.split(id)
    return [_size(word) if at % 2 else (-1, word.casefold()) for at, word in enumerate(words)]


def _size(number: str) -> tuple[int, str]:
    digits = number.lstrip("0")
    return len(digits), digits
