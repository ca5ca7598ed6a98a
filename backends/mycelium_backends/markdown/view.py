"""What a rule may read: the index, after a look whether the file behind each record is still what was indexed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence, Set
from datetime import datetime
from typing import TypeVar

from mycelium.errors import StoreDamaged
from mycelium.models import ClaimRequest, Record, Task, TaskStatus
from mycelium.models.base import is_id
from mycelium.rules import Waiter
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.index import KINDS, Index
from mycelium_backends.markdown.names import names_for
from mycelium_backends.markdown.opening import damaged
from mycelium_backends.sqlite.view import SqliteView

R = TypeVar("R", bound=Record)


class Outdated(Exception):
    """Files are not what was indexed: they have to be taken up before anybody reads on."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.names = names


class MarkdownView(SqliteView):
    """See `mycelium.rules.View`."""

    def __init__(self, connection: sqlite3.Connection, now: datetime, folder: Folder) -> None:
        super().__init__(connection, now)
        self._folder = folder
        self._index = Index(connection)

    def get(self, kind: type[R], key: str) -> R | None:
        self._see(kind.kind, key)
        return super().get(kind, key)

    def get_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        return [self.get(kind, key) for key in keys]

    def waiters(self, task_ids: Sequence[str]) -> list[Sequence[Waiter]]:
        # One whose file is broken is not touched; it is released when its file is mended.
        return [
            [waiter for waiter in waiters if self._index.record("task", waiter.task_id)[0]]
            for waiters in super().waiters(task_ids)
        ]

    def workflow_has(self, workflow_id: str, statuses: Set[TaskStatus], besides: Set[str]) -> bool:
        # A task whose file is broken or away is open for as long as nobody has known it to end.
        return super().workflow_has(workflow_id, statuses, besides) or any(
            status in statuses and key not in besides for key, status in self._index.unseen(workflow_id).items()
        )

    def next_ready(self, request: ClaimRequest) -> Task | None:
        task = super().next_ready(request)
        if task is not None:
            self._see("task", task.id)
        return task

    def look_at(self, names: Sequence[str]) -> None:
        """Raises Outdated for those of these files that are not what was indexed."""
        known = {name: row.signature for name in names if (row := self._index.row(name))}
        if stale := [name for name in names if self._folder.signature(name) != known.get(name, "")]:
            raise Outdated(*stale)

    def stale(self, kind: str, keys: Sequence[str]) -> list[str]:
        """The files of these records that are not what was indexed."""
        found: list[str] = []
        for key in keys:
            try:
                self._see(kind, key)
            except Outdated as outdated:
                found.extend(outdated.names)
            except StoreDamaged:
                continue
        return found

    def _see(self, kind: str, key: str) -> None:
        """Raises Outdated or StoreDamaged, where a record's file is not what was indexed or is broken."""
        if kind not in KINDS:
            return
        rows = self._index.rows_of(kind, key)
        for row in rows:
            if self._folder.signature(row.name) != row.signature:
                raise Outdated(row.name)
        if rows and rows[0].fault is not None:
            raise damaged(self._folder.path / rows[0].name, rows[0].fault)
        names = names_for(kind, key) if not rows and is_id(key) else ()
        if new := [name for name in names if self._is_new(name)]:
            raise Outdated(*new)

    def _is_new(self, name: str) -> bool:
        return os.path.lexists(self._folder.path / name) and self._index.row(name) is None
