"""What taking up a file may do to the index, whoever changed the file."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mycelium.errors import MyceliumError, StoreDamaged
from mycelium.models import Agent, Record, Task, Trigger, Workflow
from mycelium.rules import remove_agent
from mycelium.rules.adoption import forget, heal_task
from mycelium.rules.triggers import remove_trigger
from mycelium_backends.markdown.changes import FileApplier
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.index import KINDS, Index, Row
from mycelium_backends.markdown.reading import Reading
from mycelium_backends.markdown.view import MarkdownView

log = logging.getLogger("mycelium.markdown")


class Ground:
    """The index within a transaction, and the changes that are being gathered there."""

    def __init__(
        self, connection: sqlite3.Connection, folder: Folder, view: MarkdownView, applier: FileApplier
    ) -> None:
        self._execute = connection.execute
        self.index = Index(connection)
        self.folder = folder
        self.view = view
        self.applier = applier

    def put_raw(self, records: Sequence[Record]) -> None:
        """Put records into the tables in the place of whatever is there."""
        for record in records:
            self.index.drop(record.kind, record.key)
            self.index.wait_no_more(dependent=record.key)
        self.applier.put_raw(records)
        for record in records:
            if isinstance(record, Task):
                self.index.wait(record)

    def heal(self, task: Task) -> None:
        with suppress(StoreDamaged):  # what follows for a broken file is drawn when that is mended
            self.applier.apply(heal_task(self.view, task.id))
        if not task.open:
            self.index.wait_no_more(dependency=task.id)

    def remove(self, row: Row) -> None:
        """Forget the record of a file that is gone."""
        record, _ = self.index.record(row.kind, row.key)
        self.index.remove(row.name)
        self.applier.wrote = True
        if row.fault is not None or record is None:
            return
        if isinstance(record, Agent):
            self.applier.apply(remove_agent(self.view, record.name))
        elif isinstance(record, Trigger):
            self.applier.apply(remove_trigger(self.view, record.id, by=None))
        else:
            assert isinstance(record, Task | Workflow)
            self.index.drop(row.kind, row.key)
            self.applier.apply(forget(self.view, record))
        self.applier.touched.pop((row.kind, row.key), None)

    def put_aside(self, broken: Row, before: Row | None) -> None:
        """Put a file aside that cannot be used, with its record as it was last."""
        if before is None or before.fault != broken.fault:  # a file is tried again whenever another comes or goes
            log.warning("%s is left alone: %s", self.folder.path / broken.name, broken.fault)
        if before is not None and before.fault is None:
            record, seq = self.index.record(before.kind, before.key)
            body = record.model_dump_json(exclude_defaults=True) if record else None
            broken = replace(broken, seq=seq, body=body, key=before.key)
            self.index.drop(before.kind, before.key)
        elif before is not None and before.body is not None:
            broken = replace(broken, seq=before.seq, body=before.body, key=before.key)
        self.index.put(broken)
        self.applier.wrote = True

    def bring_back(self, row: Row) -> Row:
        """Bring a record back that was put aside, now that its file can be read."""
        if row.fault is None or row.body is None:
            return row
        record = KINDS[row.kind].model_validate_json(row.body)
        if self.index.record(row.kind, row.key)[0] is None:
            self.index.put(replace(row, fault=None, seq=None, body=None))
            self.put_raw([record])
            self.index.place_at(record, row.seq or 0)
        return replace(row, fault=None)

    def refuse(self, reading: Reading, error: Exception) -> None:
        """Put a file aside that can be read but not be taken up."""
        why = error.message if isinstance(error, MyceliumError) else "another task has its idempotency key"
        if isinstance(error, StoreDamaged):
            why = f"it needs {Path(str(error.data['path'])).name}, which cannot be used either"
        ticks = reading.known.ticks if reading.known else (0, 0)
        self.put_aside(replace(reading.row(), fault=why.rstrip("."), ticks=ticks), self.index.row(reading.name))

    def within_savepoint(self, act: Callable[[], None]) -> None:
        """Do something to the index, or nothing of it."""
        kept = self.applier.mark()
        self._execute("SAVEPOINT taking_up")
        try:
            act()
        except BaseException:
            self._execute("ROLLBACK TO taking_up")
            self.applier.back_to(kept)
            raise
        finally:
            self._execute("RELEASE taking_up")
