"""Which id each foreign task gets here."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from mycelium.models.base import is_id
from mycelium_server.migrate.foreign import Foreign, ForeignTask, unusable

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
        InvalidInput: two tasks of one group, or two groups, are called the same.
    """
    _all_differ(foreign, ((group.id, f"group {group.id} at {group.place}") for group in foreign.groups))
    for group in foreign.groups:
        _all_differ(foreign, ((task.id, _where(task)) for task in group.tasks))
    groups = as_ids([group.id for group in foreign.groups])
    shared = _any_shared(foreign)
    keys = [(own, task.id) for own, group in zip(groups, foreign.groups, strict=True) for task in group.tasks]
    ids = iter(as_ids([f"{own}.{key}" if shared else key for own, key in keys]))
    return [
        _names(own, {task.id: next(ids) for task in group.tasks})
        for own, group in zip(groups, foreign.groups, strict=True)
    ]


def _any_shared(foreign: Foreign) -> bool:
    """Whether two groups have tasks that would get the same id."""
    counts = Counter(id for group in foreign.groups for id in {as_id(task.id) for task in group.tasks})
    return any(count > 1 for count in counts.values())


def _names(group: str, tasks: dict[str, str]) -> Names:
    return Names(group, tasks, {theirs.casefold(): ours for theirs, ours in tasks.items()})


def _where(task: ForeignTask) -> str:
    return f"task {task.id} " + (f"in {task.file}" if task.file else f"at {task.place}")


def _all_differ(foreign: Foreign, ids: Iterator[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for id, where in ids:
        if id in first:
            raise unusable(foreign.file, f"{first[id]} and {where} have the same id", id=id)
        first[id] = where


def as_ids(texts: Sequence[str]) -> list[str]:
    """An id for each text, no two the same: what may be an id stays as it is, what would be one twice gets a number."""
    taken, kept = set(filter(is_id, texts)), set[str]()
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))

    def own(text: str) -> str:
        if is_id(text) and text not in kept:
            kept.add(text)
            return text
        id = plain = as_id(text)
        while id in taken:
            id = f"{plain[:116]}-{next(numbers[plain])}"
        taken.add(id)
        return id

    return [own(text) for text in texts]


def as_id(text: str) -> str:
    """The text itself where it may be an id; else what is left of it, or `x` if nothing is."""
    return readable(text) or "x"


def readable(text: str) -> str:
    """What is left of the text without the characters that no id has; may be nothing."""
    return text if is_id(text) else NOT_IN_IDS.sub("-", text).strip("-._")[:128]
