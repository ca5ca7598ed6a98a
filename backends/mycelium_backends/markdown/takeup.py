"""Taking up what others did to the files: people in their editors, git, and other Mycelia whose files git brought.

Call it within the index's transaction, with the lock held.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from mycelium.errors import MyceliumError, StoreDamaged, StoreError, UnknownDependency
from mycelium.models import Agent, Record, Task, Workflow, validated
from mycelium.rules import Change, remove_agent
from mycelium.rules.edits import (
    adopt,
    edit_agent,
    edit_task,
    edit_workflow,
    forget,
    heal_task,
    make_task,
    make_workflow,
)
from mycelium_backends.markdown import forms
from mycelium_backends.markdown.changes import FileApplier
from mycelium_backends.markdown.folder import Folder, kind_and_key
from mycelium_backends.markdown.forms import Said
from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.index import KINDS, Index, Row
from mycelium_backends.markdown.journal import digest_of
from mycelium_backends.markdown.log import Unparsable, check_format, events_in, numbered
from mycelium_backends.markdown.view import MarkdownView, Outdated

log = logging.getLogger("mycelium.markdown")

MOMENT: Final = 0.01
"""Seconds until a file that is empty, as some programs leave it while they write it, is believed to be."""
NAMED: Final = {"task_id": "task", "workflow_id": "workflow", "agent": "agent"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read."""

    name: str
    kind: str
    key: str
    signature: str
    text: str
    said: Said
    known: Row | None

    def row(self, *, plain: bool = False) -> Row:
        return Row(self.name, self.kind, self.key, self.signature, None, plain, self.said.ticks, digest_of(self.text))


class TakeUp:
    """Brings the index to what the files say, by the rules."""

    def __init__(
        self, connection: sqlite3.Connection, folder: Folder, view: MarkdownView, applier: FileApplier
    ) -> None:
        self._execute = connection.execute
        self._index = Index(connection)
        self._folder = folder
        self._view = view
        self._applier = applier
        self._again: set[str] = set()
        """Files that were refused, though they may be good now that another has come."""

    def events(self) -> None:
        """Take up the lines that others added to the log."""
        mark = self._folder.log_mark()
        if mark == self._index.meta("log"):
            return
        check_format(self._folder.log)
        found = (each for each in events_in(self._folder.log) if not isinstance(each, Unparsable))
        new = list(numbered(found, self._view.last_seq(), self._index.knows_event))
        self._applier.take_over(new)
        self._index.note("log", mark)
        self._index.tell(
            (kind, str(event.data[name])) for event in new for name, kind in NAMED.items() if name in event.data
        )

    def files(self, names: Iterable[str]) -> None:
        """Take up the files of these names that are not what was indexed.

        Raises:
            Outdated: another file has to be taken up with them.
        """
        readings = [reading for name in names if (reading := self._read(name)) is not None]
        mended = [replace(each, known=self._restore(each.known)) if each.known else each for each in readings]
        foreign = {each.name: each for each in mended if self._is_foreign(each)}
        if foreign:
            self._adopt([*foreign.values()])
        self._by_hand([each for each in mended if each.name not in foreign])
        if any(each.known is None for each in mended):
            self._try_again({each.name for each in mended})

    def _try_again(self, besides: set[str]) -> None:
        """New files are there: others that were refused before may have waited for them."""
        self._again = {row.name for row in self._index.faults() if row.body is None and row.name not in besides}
        found = [reading for name in sorted(self._again) if (reading := self._read(name)) is not None]
        self._again = set()
        self._by_hand([each for each in found if not each.said.written])

    def _by_hand(self, by_hand: list[Reading]) -> None:
        """Do what people did, each after those it waits on."""
        while left := [each for each in by_hand if not self._take(each, [other.name for other in by_hand])]:
            if len(left) == len(by_hand):
                self._give_up(left)
                return
            by_hand = left

    def _read(self, name: str) -> Reading | None:
        """The file, unless it is as it was, gone or broken; those are dealt with here."""
        found, row = kind_and_key(name), self._index.row(name)
        seen = self._folder.signature(name)
        if found is None or (seen == (row.signature if row else "") and name not in self._again):
            return None
        if not seen:
            assert row is not None
            self._gone(row)
            return None
        if seen.endswith(":0"):
            time.sleep(MOMENT)
        kind, key = found
        try:
            text, seen = self._folder.read(name)
            said = forms.read(kind, text)
            return Reading(name, kind, self._key(name, kind, key, said), seen, text, said, row)
        except (Unreadable, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._fault(Row(name, kind, key, seen, why or "it cannot be read", False, (0, 0)), row)
            return None

    def _key(self, name: str, kind: str, key: str, said: Said) -> str:
        """The id of the record, which the file's name and its front matter agree on."""
        wanted = forms.key_of(kind, key, said)
        if any(row.name != name and row.fault is None for row in self._index.rows_of(kind, wanted)):
            raise Unreadable(f"another file holds {kind} {wanted} already")
        return wanted

    def _is_foreign(self, reading: Reading) -> bool:
        """Whether another copy of the store wrote this version of the record, rather than a person or this one."""
        if not reading.said.written:
            return False
        current, _ = self._index.record(reading.kind, reading.key)
        version = reading.said.fields["version"]
        if current is None:
            return True
        if version == current.version:
            return False
        earlier = self._earlier(reading)
        return earlier is None or digest_of(reading.text) in earlier[1]

    def _earlier(self, reading: Reading) -> tuple[Record, frozenset[int]] | None:
        version = reading.said.fields["version"]
        known = isinstance(version, int) and abs(version) < 2**63
        return self._index.earlier(KINDS[reading.kind], reading.key, version) if known else None

    # Gone, broken, mended

    def _gone(self, row: Row) -> None:
        record, _ = self._index.record(row.kind, row.key)
        self._index.remove(row.name)
        self._applier.wrote = True
        if row.fault is not None or record is None:
            return
        if isinstance(record, Agent):
            self._applier.apply(remove_agent(self._view, record.name))
        else:
            assert isinstance(record, Task | Workflow)
            self._index.drop(row.kind, row.key)
            self._applier.apply(forget(self._view, record))
        self._applier.touched.pop((row.kind, row.key), None)

    def _fault(self, broken: Row, before: Row | None) -> None:
        """Put a file aside that cannot be used, with its record as it was last."""
        log.warning("%s is left alone: %s", self._folder.path / broken.name, broken.fault)
        if before is not None and before.fault is None:
            record, seq = self._index.record(before.kind, before.key)
            body = record.model_dump_json(exclude_defaults=True) if record else None
            broken = replace(broken, seq=seq, body=body, key=before.key)
            self._index.drop(before.kind, before.key)
        elif before is not None:
            broken = replace(broken, seq=before.seq, body=before.body)
        self._index.put(broken)
        self._applier.wrote = True

    def _restore(self, row: Row) -> Row:
        """Bring a record back that was put aside, now that its file can be read."""
        if row.fault is None or row.body is None:
            return row
        record = KINDS[row.kind].model_validate_json(row.body)
        if self._index.record(row.kind, row.key)[0] is None:
            self._index.put(replace(row, fault=None, seq=None, body=None))
            self._put_raw([record])
            self._index.place_at(record, row.seq or 0)
        return replace(row, fault=None)

    # Written by another copy of the store

    def _adopt(self, readings: Sequence[Reading]) -> None:
        """Take records over as they are, and draw the consequences."""
        good: list[tuple[Reading, Record]] = []
        for reading in readings:
            try:
                good.append((reading, validated(KINDS[reading.kind], **reading.said.fields)))
            except MyceliumError as error:
                self._refused(reading, error)
        created = self._index.order_of_creation() if len(good) > 1 else {}
        good.sort(key=lambda each: _age(each[1], created))
        try:
            self._within_savepoint(lambda: self._take_over(good))
        except (sqlite3.IntegrityError, MyceliumError):
            for each in good:
                self._attempt(each[0], lambda each=each: self._take_over([each]))

    def _take_over(self, good: Sequence[tuple[Reading, Record]]) -> None:
        records = [record for _, record in good]
        for reading, record in good:
            others = self._index.glances(record)
            self._index.put(reading.row(plain=forms.write(record, others) == reading.text))
            self._index.remember(record, digest_of(reading.text))
        places = {record.key: self._index.record(record.kind, record.key)[1] for record in records}
        told = self._index.told((record.kind, record.key) for record in records)
        change = adopt(self._view, records, told=told)
        self._put_raw(records)
        self._applier.apply(replace(change, puts=()))
        for record in records:
            if places[record.key]:
                self._index.place_at(record, places[record.key])
        for record in records:
            self._applier.touched.pop((record.kind, record.key), None)
        for task in records:
            if isinstance(task, Task):
                self._heal(task)

    def _put_raw(self, records: Sequence[Record]) -> None:
        """Put records into the tables in the place of whatever is there."""
        for record in records:
            self._index.drop(record.kind, record.key)
            self._index.wait_no_more(dependent=record.key)
        self._applier.put_raw(records)
        for record in records:
            if isinstance(record, Task):
                self._index.wait(record)

    def _heal(self, task: Task) -> None:
        with suppress(StoreDamaged):  # what follows for a broken file is drawn when that is mended
            self._applier.apply(heal_task(self._view, task.id))
        if not task.open:
            self._index.wait_no_more(dependency=task.id)

    # Written by a person

    def _take(self, reading: Reading, others: Sequence[str]) -> bool:
        """Do what a person did. False if it should be tried again after these other files, that it may wait on."""
        try:
            self._within_savepoint(lambda: self._edit(reading))
        except Outdated as outdated:
            if not set(outdated.names) <= set(others):
                raise
            return False
        except UnknownDependency:
            return False
        except (MyceliumError, sqlite3.IntegrityError) as error:
            if isinstance(error, StoreError) and not isinstance(error, StoreDamaged):
                raise
            self._refused(reading, error)
        return True

    def _give_up(self, left: Sequence[Reading]) -> None:
        """Refuse new files that wait on what is not there, or on each other in a circle."""
        for reading in left:
            self._refused(reading, UnknownDependency(self._missing(reading)))

    def _missing(self, reading: Reading) -> list[str]:
        wanted: Sequence[object] = reading.said.fields.get("depends_on", ())
        return [str(key) for key in wanted if self._index.record("task", str(key))[0] is None]

    def _edit(self, reading: Reading) -> None:
        current, _ = self._index.record(reading.kind, reading.key)
        wanted = self._wanted(reading, current)
        self._index.put(
            reading.row(plain=current is not None and current == wanted and self._is_plain(reading, current))
        )
        if current is None or wanted != current:
            self._applier.apply(self._rule(current, wanted))
        elif reading.said.fields.get("version", current.version) != current.version:
            self._applier.touched.setdefault((reading.kind, reading.key), current)
        else:
            self._index.remember(current, digest_of(reading.text))
        self._applier.wrote = True
        record, _ = self._index.record(reading.kind, reading.key)
        if isinstance(record, Task):
            self._index.find_by(record)
            if record.blocked:
                self._heal(record)

    def _is_plain(self, reading: Reading, record: Record) -> bool:
        return forms.write(record, self._index.glances(record)) == reading.text

    def _rule(self, current: Record | None, wanted: Record) -> Change[Any]:
        match wanted:
            case Task():
                return (edit_task if current else make_task)(self._view, wanted)
            case Workflow():
                return (edit_workflow if current else make_workflow)(self._view, wanted)
            case Agent():
                return edit_agent(self._view, wanted)
            case _:
                raise TypeError(type(wanted))

    def _wanted(self, reading: Reading, current: Record | None) -> Record:
        """The record as the person wants it; of what was saved over a newer version, that which the person changed."""
        fields = dict(reading.said.fields)
        kind = KINDS[reading.kind]
        if current is None:
            fields = forms.completed(kind, fields, reading.key, self._view.now)
        else:
            fields.setdefault("version", current.version)
        wanted = validated(kind, **fields)
        if current is not None and wanted.version != current.version:
            earlier = self._earlier(reading)
            assert earlier is not None
            wanted = _moved(wanted, earlier[0], current)
        return _ticked(wanted, current, reading)

    # What may fail

    def _attempt(self, reading: Reading, act: Callable[[], None]) -> None:
        try:
            self._within_savepoint(act)
        except (MyceliumError, sqlite3.IntegrityError) as error:
            self._refused(reading, error)

    def _refused(self, reading: Reading, error: Exception) -> None:
        why = error.message if isinstance(error, MyceliumError) else "another task has its idempotency key"
        ticks = reading.known.ticks if reading.known else (0, 0)
        self._fault(replace(reading.row(), fault=why.rstrip("."), ticks=ticks), self._index.row(reading.name))

    def _within_savepoint(self, act: Callable[[], None]) -> None:
        kept = self._applier.mark()
        self._execute("SAVEPOINT taking_up")
        try:
            act()
        except BaseException:
            self._execute("ROLLBACK TO taking_up")
            self._applier.back_to(kept)
            raise
        finally:
            self._execute("RELEASE taking_up")


def _age(record: Record, created: dict[str, int]) -> tuple[bool, int, str, str]:
    """Sorts records as they were made: by the log, else by their time."""
    number = created.get(record.key)
    at = record.created_at.isoformat() if isinstance(record, Task | Workflow) else ""
    return (number is None, number or 0, at, record.key)


def _moved(wanted: Record, earlier: Record, current: Record) -> Record:
    """The current record with what makes `wanted` differ from the earlier one it was made of."""
    names = [name for name in type(wanted).model_fields if name not in ("version", "updated_at", "last_updated")]
    edited = {name: getattr(wanted, name) for name in names if getattr(wanted, name) != getattr(earlier, name)}
    return current.model_copy(update=edited)


def _ticked(wanted: Record, current: Record | None, reading: Reading) -> Record:
    """The record with the progress that its boxes tell, if they were changed and nothing else says it."""
    done, boxes = reading.said.ticks
    before = reading.known.ticks if reading.known else (0, 0)
    said = isinstance(current, Task) and isinstance(wanted, Task) and wanted.progress != current.progress
    if not isinstance(wanted, Task) or not wanted.open or not boxes or (done, boxes) == before or said:
        return wanted
    if current is None and "progress" in reading.said.fields:
        return wanted
    return wanted.model_copy(update={"progress": done / boxes})
