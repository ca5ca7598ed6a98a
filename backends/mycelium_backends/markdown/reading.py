"""A changed file as it was read, and what it makes of its record."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mycelium.models import Record, Task, validated
from mycelium_backends.markdown import forms
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.forms import Said
from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.index import KINDS, Index, Row
from mycelium_backends.markdown.journal import digest_of

MOMENT: Final = 0.01
"""Seconds until a file that is empty, as some programs leave it while they write it, is believed to be."""
FAULTS: Final = (OSError, ValueError, RecursionError, OverflowError)
"""What reading one file may raise, whatever stands in it; it is that file's fault, and the others can be used."""


def reason_of(fault: Exception) -> str:
    """Why a file could not be read."""
    if isinstance(fault, OSError):
        return fault.strerror or str(fault)
    return str(fault) if isinstance(fault, Unreadable) else f"it cannot be read: {fault}"


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


def read(folder: Folder, index: Index, name: str, kind: str, key: str) -> Reading:
    """Read the file of this name, which says that it holds the record of this kind and key.

    Raises:
        Unreadable, OSError: it holds none.
    """
    if folder.signature(name).endswith(":0"):
        time.sleep(MOMENT)
    text, seen = folder.read(name)
    said = forms.read(kind, text)
    wanted = forms.key_of(kind, key, said)
    for row in index.rows_of(kind, wanted):
        if row.name != name and (row.fault is None or row.body is not None):
            raise Unreadable(taken(row.name, kind, wanted))
    return Reading(name, kind, wanted, seen, text, said, index.row(name))


def taken(holder: str, kind: str, key: str) -> str:
    """Why a file cannot hold a record that another one holds."""
    return f"{holder} holds {kind} {key} already"


def is_foreign(reading: Reading, index: Index) -> bool:
    """Whether another copy of the store wrote this version of the record, rather than a person or this one."""
    if not reading.said.written:
        return False
    current, _ = index.record(reading.kind, reading.key)
    version = reading.said.fields["version"]
    if current is None:
        return True
    if version == current.version:
        return False
    earlier = _earlier(reading, index)
    return earlier is None or digest_of(reading.text) in earlier[1]


def _earlier(reading: Reading, index: Index) -> tuple[Record, frozenset[int]] | None:
    version = reading.said.fields["version"]
    known = isinstance(version, int) and abs(version) < 2**63
    return index.earlier(KINDS[reading.kind], reading.key, version) if known else None


def wanted_by(reading: Reading, current: Record | None, index: Index, now: datetime) -> Record:
    """The record as the person wants it; of what was saved over a newer version, that which the person changed."""
    fields = dict(reading.said.fields)
    kind = KINDS[reading.kind]
    if current is None:
        fields = forms.completed(kind, fields, reading.key, now)
    elif not reading.said.written:
        # A small file that was taken up has been written whole; an editor may still hold it as it was.
        fields = {**current.model_dump(exclude_defaults=True), "version": current.version, **fields}
    wanted = validated(kind, **fields)
    if current is not None and wanted.version != current.version:
        earlier = _earlier(reading, index)
        assert earlier is not None
        wanted = _moved(wanted, earlier[0], current)
    return _ticked(wanted, current, reading)


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
