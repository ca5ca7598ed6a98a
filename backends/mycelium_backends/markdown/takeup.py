"""Taking up what others did to the files: people in their editors, git, and other Mycelia whose files git brought.

Call it within the index's transaction, with the lock held.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from mycelium.errors import DependencyCycle, MyceliumError, StoreDamaged, StoreError, UnknownDependency
from mycelium.models import Agent, Record, Task, Trigger, Workflow
from mycelium.rules import Change
from mycelium.rules.edits import (
    edit_agent,
    edit_task,
    edit_trigger,
    edit_workflow,
    make_task,
    make_trigger,
    make_workflow,
)
from mycelium_backends.markdown import forms
from mycelium_backends.markdown.ground import Ground
from mycelium_backends.markdown.index import Row
from mycelium_backends.markdown.journal import digest_of
from mycelium_backends.markdown.log import Unparsable, check_format, events_in, numbered
from mycelium_backends.markdown.names import kind_and_key
from mycelium_backends.markdown.reading import FAULTS, Reading, is_foreign, read, reason_of, taken, wanted_by
from mycelium_backends.markdown.takeover import take_over
from mycelium_backends.markdown.view import Outdated

NAMED: Final = {"task_id": "task", "workflow_id": "workflow", "agent": "agent", "trigger_id": "trigger"}
GRACE: Final = 0.1
"""Seconds until a file that is missing is believed to be removed. Others wait so long, once for each group of files."""


class TakeUp:
    """Brings the index to what the files say, by the rules."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._index = ground.index
        self._folder = ground.folder
        self._view = ground.view
        self._applier = ground.applier
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

        What another copy wrote is taken over first, as a person's edit may wait on what git brought with it.

        Raises:
            Outdated: another file has to be taken up with them.
        """
        names = list(names)
        self._wait_for_missing(names)
        gone = any(self._index.row(name) is not None and not self._folder.signature(name) for name in names)
        taken_up = self._take_all(names)
        if gone or any(each.known is None or each.known.fault for each in taken_up):
            self._try_again({each.name for each in taken_up})

    def _take_all(self, names: Iterable[str]) -> list[Reading]:
        """Take up those of these files that can be read."""
        readings = self._one_each(reading for name in names if (reading := self._read(name)) is not None)
        mended = [replace(each, known=self._ground.bring_back(each.known)) if each.known else each for each in readings]
        foreign = {each.name: each for each in mended if is_foreign(each, self._index)}
        if foreign:
            take_over(self._ground, [*foreign.values()])
        self._by_hand([each for each in mended if each.name not in foreign])
        return mended

    def _one_each(self, readings: Iterable[Reading]) -> list[Reading]:
        """Of files that say one id, the one that was it before, else the first by name; the others are put aside."""
        kept: dict[tuple[str, str], Reading] = {}
        for each in sorted(readings, key=lambda each: (each.known is None or each.known.body is None, each.name)):
            holder = kept.setdefault((each.kind, each.key), each)
            if holder is not each:
                self._put_aside(each.name, each.signature, taken(holder.name, each.kind, each.key))
        return list(kept.values())

    def _wait_for_missing(self, names: Sequence[str]) -> None:
        """Some programs save by renaming the old file and writing a new one: give them the time to."""
        missing = [name for name in names if self._index.row(name) is not None and not self._folder.signature(name)]
        deadline = time.monotonic() + GRACE
        while missing and time.monotonic() < deadline:
            time.sleep(GRACE / 20)
            missing = [name for name in missing if not self._folder.signature(name)]

    def _try_again(self, besides: set[str]) -> None:
        """Files have come or gone: others that were refused before may have waited for that."""
        self._again = {row.name for row in self._index.faults() if row.body is None and row.name not in besides}
        self._take_all(sorted(self._again))
        self._again = set()

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
            self._ground.remove(row)
            return None
        try:
            return read(self._folder, self._index, name, *found)
        except FAULTS as error:
            self._put_aside(name, seen, reason_of(error))
            return None

    def _put_aside(self, name: str, seen: str, why: str) -> None:
        found = kind_and_key(name)
        assert found is not None
        self._ground.put_aside(Row(name, *found, seen, why, False, (0, 0)), self._index.row(name))

    def _take(self, reading: Reading, others: Sequence[str]) -> bool:
        """Do what a person did. False if it should be tried again after these other files, that it may wait on."""
        try:
            self._ground.within_savepoint(lambda: self._edit(reading))
        except Outdated as outdated:
            if not set(outdated.names) <= set(others):
                raise
            return False
        except UnknownDependency:
            return False
        except StoreDamaged as broken:
            # What it waits on was refused before, and is perhaps about to be taken up.
            if broken.data.get("path") in {str(self._folder.path / name) for name in others}:
                return False
            self._ground.refuse(reading, broken)
        except (MyceliumError, sqlite3.IntegrityError) as error:
            if isinstance(error, StoreError):
                raise
            self._ground.refuse(reading, error)
        return True

    def _give_up(self, left: Sequence[Reading]) -> None:
        """Refuse new files that wait on what is not there, or on each other in a circle."""
        circles = _circles_in({each.key: _waits_on(each) for each in left})
        for reading in left:
            circle = next((circle for circle in circles if reading.key in circle), None)
            error = DependencyCycle(circle) if circle else UnknownDependency(self._missing(reading))
            self._ground.refuse(reading, error)

    def _missing(self, reading: Reading) -> list[str]:
        return [key for key in _waits_on(reading) if self._index.record("task", key)[0] is None]

    def _edit(self, reading: Reading) -> None:
        current, _ = self._index.record(reading.kind, reading.key)
        wanted = wanted_by(reading, current, self._index, self._view.now)
        self._index.put(
            reading.row(plain=current is not None and current == wanted and self._is_plain(reading, current))
        )
        if current is None or wanted != current:
            self._applier.apply(self._rule(current, wanted))
        elif reading.said.fields.get("version") != current.version:
            self._applier.touched.setdefault((reading.kind, reading.key), current)
        else:
            self._index.remember(current, digest_of(reading.text))
        self._applier.wrote = True
        record, _ = self._index.record(reading.kind, reading.key)
        if isinstance(record, Task):
            self._index.find_by(record)
            if record.blocked:
                self._ground.heal(record)

    def _is_plain(self, reading: Reading, record: Record) -> bool:
        return forms.write(record, self._index.glances(record)) == reading.text

    def _rule(self, current: Record | None, wanted: Record) -> Change[Any]:
        match wanted:
            case Task():
                return (edit_task if current else make_task)(self._view, wanted)
            case Workflow():
                return (edit_workflow if current else make_workflow)(self._view, wanted)
            case Trigger():
                if current:
                    return edit_trigger(self._view, wanted)
                return make_trigger(self._view, wanted, seq=self._view.last_seq())
            case Agent():
                return edit_agent(self._view, wanted)
            case _:
                raise TypeError(type(wanted))


def _waits_on(reading: Reading) -> list[str]:
    wanted: Sequence[object] = reading.said.fields.get("depends_on", ())
    return [str(key) for key in wanted]


def _circles_in(waits: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Tasks that wait on each other in a circle, each circle ending where it begins."""
    left, found = dict(waits), list[list[str]]()
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]
            found.append(circle)
            left = {key: others for key, others in left.items() if key not in circle}
        else:
            return found
