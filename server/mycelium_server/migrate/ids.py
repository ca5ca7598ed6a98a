"""Which id each foreign task gets here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mycelium.models.base import is_id
from mycelium_server.migrate.foreign import Foreign, ForeignGroup, ForeignTask, unusable

NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Names:
    """The ids here of one group and its tasks."""

    group: str
    tasks: dict[str, str]
    """By the id that the file gives."""
    folded: dict[str, str]
    """The same without regard to capitals."""

    def find(self, foreign_id: str) -> str | None:
        """The id here of what a file calls this, be it with other capitals."""
        return self.tasks.get(foreign_id) or self.folded.get(foreign_id.casefold())


def named(foreign: Foreign) -> list[Names]:
    """The ids of every group: those of the file, with the group's before them where two groups share one.

    Raises:
        InvalidInput: two tasks of one group, or two groups, cannot be told apart.
    """
    groups = [as_id(group.id) for group in foreign.groups]
    _all_differ(foreign, ((group, f"group {group}") for group in groups))
    counts = Counter(id for group in foreign.groups for id in {as_id(task.id) for task in group.tasks})
    shared = any(count > 1 for count in counts.values())
    return [
        _names(foreign, group, own, f"{own}." if shared else "")
        for group, own in zip(foreign.groups, groups, strict=True)
    ]


def _names(foreign: Foreign, group: ForeignGroup, own: str, prefix: str) -> Names:
    _all_differ(foreign, ((as_id(task.id), _where(task)) for task in group.tasks))
    tasks = {task.id: as_id(f"{prefix}{task.id}") for task in group.tasks}
    return Names(own, tasks, {theirs.casefold(): ours for theirs, ours in tasks.items()})


def _where(task: ForeignTask) -> str:
    return f"task {task.id}" + (f" in {task.file}" if task.file else "")


def _all_differ(foreign: Foreign, ids: Iterator[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for id, where in ids:
        if id in first:
            raise unusable(foreign.file, f"{first[id]} and {where} have the same id", id=id)
        first[id] = where


def as_id(text: str) -> str:
    """The text itself where it may be an id; else what is left of it without the characters that no id has."""
    return text if is_id(text) else NOT_IN_IDS.sub("-", text).strip("-._")[:128] or "x"
