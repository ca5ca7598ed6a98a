"""What a group of commits does to the files: gathered while its rules run, written as one journal entry."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic_core import to_json

from mycelium.backend import Committed
from mycelium.errors import Conflict
from mycelium.models import Event, Record, Task, validated
from mycelium.rules import Change
from mycelium_backends.markdown import forms
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.index import KINDS, Index, Row
from mycelium_backends.markdown.journal import Entry, Written, digest_of
from mycelium_backends.markdown.log import line_of
from mycelium_backends.markdown.names import name_of
from mycelium_backends.markdown.view import Outdated
from mycelium_backends.sqlite.apply import LOG, Applier

T = TypeVar("T")

SHOWN: Final = 100
"""A task that waits on up to so many others has its file brought up to date when one of them ends."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What an applier had gathered at some moment."""

    touched: Mapping[tuple[str, str], Record | None]
    lines: int
    last_seq: int


class FileApplier(Applier):
    """Applies changes to the index, and keeps in mind which files they are to be written to."""

    def __init__(
        self, connection: sqlite3.Connection, folder: Folder, store_id: str, now: datetime, last_seq: int
    ) -> None:
        super().__init__(connection, store_id, now, last_seq)
        self._folder = folder
        self._index = Index(connection)
        self.touched: dict[tuple[str, str], Record | None] = {}
        """The records as they are to be, None for those that go."""
        self.lines: list[str] = []
        """What is to be added to the log."""

    def apply(self, change: Change[T]) -> Committed[T]:
        filed = [record for record in change.puts if record.kind in KINDS]
        for record in filed:
            self._room_for(record)
        waiting = [key for record in change.puts if isinstance(record, Task) for key in self._waiting_on(record)]
        last = self._last_seq
        committed = super().apply(change)
        self.lines += [line_of(event) for event in [*change.history, *self._events(change, last)]]
        for record in filed:
            self.touched[record.kind, record.key] = record
        for record in change.removes:
            self.touched[record.kind, record.key] = None
        for key in waiting:
            self.touched.setdefault(("task", key), self._index.record("task", key)[0])
        return committed

    def take_over(self, events: Sequence[Event]) -> None:
        """Take in events that stand in the log already."""
        for event in events:
            row = (event.seq, event.id, event.channel, event.type, event.source, event.time.isoformat())
            self._execute(LOG, (*row, to_json(event.data).decode()))
            self._last_seq = event.seq
            self.wrote = True

    def put_raw(self, records: Sequence[Record]) -> None:
        """Put records into the index as their files say them."""
        super().apply(Change(None, puts=records))

    def mark(self) -> Kept:
        """Where to go back to, together with a savepoint."""
        return Kept(dict(self.touched), len(self.lines), self._last_seq)

    def back_to(self, kept: Kept) -> None:
        self.touched = dict(kept.touched)
        del self.lines[kept.lines :]
        self._last_seq = kept.last_seq

    def _write(self, *row: object) -> None:
        """At once: a savepoint takes it back, too."""
        self._execute(LOG, row)

    def _events(self, change: Change[T], last: int) -> list[Event]:
        first = self._last_seq - len(change.events) + 1 if change.events else last
        return [
            validated(
                Event, seq=seq, id=f"{self._store_id}-{seq}", time=self._now,
                channel=new.channel, type=new.type, source=new.source, data=new.data,
            )
            for seq, new in enumerate(change.events, first)
        ]  # fmt: skip

    def _room_for(self, record: Record) -> None:
        """Nothing may lie where the file of a new record is to be."""
        rows = self._index.rows_of(record.kind, record.key)
        if rows and rows[0].fault is None:
            return
        name = name_of(record)
        if self._index.row(name) is not None:
            raise Conflict(
                f"The file {name} stands where that of {record.kind} {record.key} should be.",
                hint="Use another id, or move that file away.",
                id=record.key,
            )
        if os.path.lexists(self._folder.path / name):
            raise Outdated(name)

    def _waiting_on(self, task: Task) -> list[str]:
        """Those whose files show how this task stands, if it ends."""
        if task.open or task.version == 1:
            return []
        found = self._execute("SELECT dependent FROM waits WHERE dependency = ?", (task.id,)).fetchall()
        records = [self._index.record("task", key)[0] for (key,) in found]
        return [each.id for each in records if isinstance(each, Task) and len(each.depends_on) <= SHOWN]

    def entry(self) -> Entry | None:
        """Prepare the files, and note in the index what they will be like. None if nothing is to be written.

        Raises:
            Outdated: a file was changed since it was looked at.
        """
        files = dict(self._file(*where, record) for where, record in self.touched.items())
        if not files and not self.lines:
            return None
        at, text = self._folder.log_size(), "".join(self.lines)
        if text:
            text = self._folder.log_break() + text
            self._index.note("log", self._folder.log_mark(at + len(text.encode())))
        return Entry(files, at, text)

    def _file(self, kind: str, key: str, record: Record | None) -> tuple[str, Written]:
        rows = self._index.rows_of(kind, key)
        row = rows[0] if rows else None
        before = row.signature if row else ""
        if record is None:
            name = row.name if row else f"{kind}-{key}.md"
            self._index.remove(name)
            return name, Written(None, before, digest=row.digest if row else 0)
        name = row.name if row else name_of(record)
        others = self._index.glances(record)
        text = forms.write(record, others) if row is None or row.plain else self._merged(row, record)
        after = self._folder.prepare(name, text)
        plain = row is None or row.plain
        ticks = forms.ticks_of(text) if kind == "task" else (0, 0)
        digest = digest_of(text)
        self._index.put(Row(name, kind, key, after, None, plain, ticks, digest))
        self._index.remember(record, digest)
        return name, Written(text, before, after, row.digest if row else 0)

    def _merged(self, row: Row, record: Record) -> str:
        text, seen = self._folder.read(row.name)
        if seen != row.signature or self._folder.signature(row.name) != seen:
            raise Outdated(row.name)
        return forms.rewrite(text, record, self._index.glances(record))
