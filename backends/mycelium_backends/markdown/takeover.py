"""Taking over what another copy of the store wrote, or what git put back: as it is, and then what follows from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mycelium.errors import MyceliumError
from mycelium.models import Record, Task, Trigger, Workflow, validated
from mycelium.rules.adoption import adopt
from mycelium.rules.edits import adopt_triggers
from mycelium_backends.markdown import forms
from mycelium_backends.markdown.ground import Ground
from mycelium_backends.markdown.index import KINDS
from mycelium_backends.markdown.journal import digest_of
from mycelium_backends.markdown.reading import Reading


def take_over(ground: Ground, readings: Sequence[Reading]) -> None:
    """Take records over as they are, and draw the consequences."""
    good: list[tuple[Reading, Record]] = []
    for reading in readings:
        try:
            good.append((reading, validated(KINDS[reading.kind], **reading.said.fields)))
        except MyceliumError as error:
            ground.refuse(reading, error)
    created = ground.index.order_of_creation() if len(good) > 1 else {}
    good.sort(key=lambda each: _age(each[1], created))
    try:
        ground.within_savepoint(lambda: _put(ground, good))
    except (sqlite3.IntegrityError, MyceliumError):
        for each in good:
            _attempt(ground, *each)


def _attempt(ground: Ground, reading: Reading, record: Record) -> None:
    try:
        ground.within_savepoint(lambda: _put(ground, [(reading, record)]))
    except (MyceliumError, sqlite3.IntegrityError) as error:
        ground.refuse(reading, error)


def _put(ground: Ground, good: Sequence[tuple[Reading, Record]]) -> None:
    records = [record for _, record in good]
    for reading, record in good:
        others = ground.index.glances(record)
        ground.index.put(reading.row(plain=forms.write(record, others) == reading.text))
        ground.index.remember(record, digest_of(reading.text))
    places = [ground.index.record(record.kind, record.key)[1] for record in records]
    told = ground.index.told((record.kind, record.key) for record in records)
    triggers = [record for record in records if isinstance(record, Trigger)]
    others = [record for record in records if not isinstance(record, Trigger)]
    changes = [adopt(ground.view, others, told=told), adopt_triggers(ground.view, triggers, told=told)]
    ground.put_raw(records)
    for change in changes:
        ground.applier.apply(replace(change, puts=()))
    for record, place in zip(records, places, strict=True):
        if place:
            ground.index.place_at(record, place)
        ground.applier.touched.pop((record.kind, record.key), None)
    for task in records:
        if isinstance(task, Task):
            ground.heal(task)


def _age(record: Record, created: Mapping[str, int]) -> tuple[bool, int, str, str]:
    """Sorts records as they were made: by the log, else by their time."""
    number = created.get(record.key)
    at = record.created_at.isoformat() if isinstance(record, Task | Workflow | Trigger) else ""
    return (number is None, number or 0, at, record.key)
