"""What one attempt at a change knows of the store, and the view of it that a rule gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias, TypeVar, cast

from mycelium.models import Agent, Record, Task, TaskStatus, Trigger
from mycelium.rules import NO_TERMS, Waiter
from mycelium_backends.redis.remembered import Remembered

R = TypeVar("R", bound=Record)

Question: TypeAlias = Sequence[object]
"""A question in the words of `read.lua`: its name and its arguments."""
Seen: TypeAlias = Sequence[object]
"""Something that a rule saw, in the words of `commit.lua`, which looks whether it still holds."""


WITNESSES: Final = 8
"""Dependencies that are named to show that a task still waits: it does while one of them is unfinished."""


class Missing(Exception):
    """A rule asked what is not known yet. No error: the rule is run again when that has been learned."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


def due_text(record: Record) -> str:
    """When time alone will change the record, as the scripts have it: seconds, or nothing."""
    return "" if record.due_at is None else repr(record.due_at.timestamp())


def since_text(record: Record) -> str:
    """What tells a record from an earlier one of its key that was removed: it began with version 1 again, but later."""
    match record:
        case Agent():
            return due_text(record)
        case Trigger():
            return repr(record.created_at.timestamp())
        case _:
            return ""


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

    @property
    def complete(self) -> bool:
        """Whether all of them are known."""
        return self.count <= len(self.some)


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

    def too_little_known(self, settled: Set[str]) -> list[str]:
        """The blocked tasks of which nothing is known to hold them up but what is settled now."""
        return [key for key, waits in self.waits.items() if not waits.complete and waits.some <= settled]

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
    """See `mycelium.rules.View`. It notes what the rule learned from it."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        self._facts = facts
        self._noted: set[object] = set()
        self._seen: list[Seen] = []
        self._waits: dict[str, Seen] = {}
        self.now = now
        self.terms = NO_TERMS

    def has_room(self, agent: str) -> bool:
        return True

    @property
    def seen(self) -> list[Seen]:
        """All that the rule learned."""
        return [*self._seen, *self._waits.values()]

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
        version, since = (record.version, since_text(record)) if record else (0, "")
        self._note("record", kind.kind, key, version, since)
        return record

    def tasks_by_idempotency_key(self, keys: Sequence[str]) -> list[Task | None]:
        unknown = [key for key in keys if key not in self._facts.keyed]
        if unknown:
            raise Missing(["keys", unknown])
        found = [self._facts.keyed[key] for key in keys]
        for key, task in zip(keys, found, strict=True):
            self._note("key", key, task.id if task else "")
        return found

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        unknown = [key for key in task_ids if key not in self._facts.waiters]
        if unknown:
            # Most outcomes end with those that wait on them. Who asks again is following those that can no longer run.
            follows = bool(self._facts.waiters)
            raise Missing(["waiters", unknown, follows])
        found = [self._facts.waiters[key] for key in task_ids]
        for key, waiters in zip(task_ids, found, strict=True):
            self._note("waiters", key, waiters.added)
        return [waiters.waiters for waiters in found]

    def waits_on_others(self, task_id: str, settled: Set[str]) -> bool:
        waits = self._facts.waits.get(task_id)
        if waits is None:
            raise Missing(["waits", [task_id], len(settled) + 1])
        others = waits.some - settled
        if not others and not waits.complete:
            raise Missing(["waits", self._facts.too_little_known(settled), 2 * (len(settled) + 1)])
        # What makes the answer true is enough to make it true again; that all is settled is true while nothing else is.
        self._waits[task_id] = ["waits", task_id, sorted(others)[:WITNESSES], waits.count]
        return bool(others)

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        counts = self._facts.counts.get(workflow_id)
        if counts is None:
            raise Missing(["counts", workflow_id])
        stored = [task for task in self.get_all(Task, list(besides)) if task and task.workflow_id == workflow_id]
        besides_count = sum(task.status in statuses for task in stored)
        answer = sum(counts.get(status, 0) for status in statuses) > besides_count
        self._seen.append(["tasks", workflow_id, sorted(statuses), besides_count, answer])
        return answer

    def _note(self, *fact: object) -> None:
        if fact not in self._noted:
            self._noted.add(fact)
            self._seen.append(fact)
