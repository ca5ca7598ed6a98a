"""What one attempt at a change knows of the store, and the view of it that a rule gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar, cast

from mycelium.models import Record, Task, TaskStatus
from mycelium.rules import NO_TERMS, Waiter
from mycelium_backends.redis.remembered import Remembered

R = TypeVar("R", bound=Record)

Question: TypeAlias = Sequence[object]
"""A question in the words of `read.lua`: its name and its arguments."""
Seen: TypeAlias = Sequence[object]
"""Something that a rule saw, in the words of `commit.lua`, which looks whether it still holds."""


class Missing(Exception):
    """A rule asked what is not known yet. No error: the rule is run again when that has been learned."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


@dataclass(frozen=True, slots=True)
class Waiters:
    """Who waits on a task, and how many ever began to."""

    added: int
    waiters: Sequence[Waiter]


@dataclass(frozen=True, slots=True)
class Waits:
    """How many unfinished tasks a blocked one waits on, and some of them."""

    count: int
    some: Set[str]


@dataclass(slots=True)
class Facts:
    """All that was learned so far. It may have been learned at different moments."""

    records: dict[tuple[str, str], Record | None] = field(default_factory=dict[tuple[str, str], Record | None])
    keyed: dict[str, Task | None] = field(default_factory=dict[str, Task | None])
    waiters: dict[str, Waiters] = field(default_factory=dict[str, Waiters])
    waits: dict[str, Waits] = field(default_factory=dict[str, Waits])
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    journeys: int = 0
    """How often the store was asked."""
    remembered: Remembered | None = None
    """What may be believed until the store says otherwise."""
    recalled: bool = False
    """Whether anything of that was."""

    @property
    def of_one_moment(self) -> bool:
        """Whether all of it was true together at some time since the attempt began."""
        return self.journeys <= 1 and not self.recalled

    def knows(self, kind: type[Record], key: str) -> bool:
        """Whether the record, or that there is none, is known; recalls it if it can."""
        where = (kind.kind, key)
        if where not in self.records and self.remembered is not None:
            record = self.remembered.recall(kind, key)
            if record is not None:
                self.records[where] = record
                self.recalled = True
        return where in self.records


class FactsView:
    """See `mycelium.rules.View`. It notes in `seen` what the rule learned from it."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        self._facts = facts
        self._noted: set[object] = set()
        self.seen: list[Seen] = []
        self.now = now
        self.terms = NO_TERMS

    def has_room(self, agent: str) -> bool:
        return True

    def get(self, kind: type[R], key: str) -> R | None:
        if not self._facts.knows(kind, key):
            raise Missing(["task", key] if kind is Task else ["get", kind.kind, [key]])
        return self._record(kind, key)

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        unknown = [key for key in keys if not self._facts.knows(kind, key)]
        if unknown:
            raise Missing(["get", kind.kind, unknown])
        return [self._record(kind, key) for key in keys]

    def _record(self, kind: type[R], key: str) -> R | None:
        record = cast("R | None", self._facts.records[kind.kind, key])
        self._note("record", kind.kind, key, record.version if record else 0)
        return record

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        unknown = [key for key in keys if key not in self._facts.keyed]
        if unknown:
            raise Missing(["keys", unknown])
        found = [self._facts.keyed[key] for key in keys]
        for key, task in zip(keys, found, strict=True):
            self._note("key", key, task.id if task else "")
        return found

    def waiters(self, task_id: str) -> Sequence[Waiter]:
        found = self._facts.waiters.get(task_id)
        if found is None:
            raise Missing(["waiters", task_id])
        self._note("waiters", task_id, found.added)
        return found.waiters

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        waits = self._facts.waits.get(task_id)
        if waits is None:
            raise Missing(["waits", task_id, len(settled) + 1])
        others = waits.some - settled
        if not others and waits.count > len(waits.some):
            raise Missing(["waits", task_id, max(len(settled) + 1, 2 * len(waits.some))])
        counted = [key for key in settled if key in waits.some] if waits.count == len(waits.some) else [*settled]
        self.seen.append(["waits", task_id, counted, bool(others)])
        return bool(others)

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        counts = self._facts.counts.get(workflow_id)
        if counts is None:
            raise Missing(["counts", workflow_id])
        stored = [task for task in self.get_all(Task, list(besides)) if task and task.workflow_id == workflow_id]
        besides_count = sum(task.status in statuses for task in stored)
        answer = sum(counts.get(status, 0) for status in statuses) > besides_count
        self.seen.append(["tasks", workflow_id, sorted(statuses), besides_count, answer])
        return answer

    def _note(self, *fact: object) -> None:
        if fact not in self._noted:
            self._noted.add(fact)
            self.seen.append(fact)
