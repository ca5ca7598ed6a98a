"""The one thread of a process that writes. It commits whatever has gathered as one group, with one fsync."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias

from mycelium.backend import Clock, Committed
from mycelium.errors import MyceliumError, StoreError, StoreFull
from mycelium.rules import Change, Terms
from mycelium_backends.promise import Promise
from mycelium_backends.sqlite.apply import Applier
from mycelium_backends.sqlite.errors import translated, unavailable
from mycelium_backends.sqlite.lock import FileLock
from mycelium_backends.sqlite.remembering import RememberingView
from mycelium_backends.sqlite.view import SqliteView

log = logging.getLogger("mycelium.sqlite")

GROUP: Final = 512
"""Most changes in one transaction."""
SEVERAL: Final = 4
"""As many changes in one group mean that several callers are at it, and that it may pay to wait for more of theirs."""
LINGER: Final = 0.0005
"""Seconds between two looks whether more have come."""
LOOKS: Final = 8
CHECKPOINT_BYTES: Final = 16 * 1024 * 1024
"""The WAL is moved into the database when its file has grown to this; begun anew, it is cut to `SHORT_WAL_BYTES`."""

Decide: TypeAlias = Callable[[SqliteView], Change[Any] | None]
"""What a caller wants done: read, and answer with a change, or with None for nothing."""


@dataclass(slots=True, eq=False)
class Job:
    """One caller's wish, and what became of it."""

    decide: Decide
    promise: Promise[Committed[Any] | None]
    outcome: Committed[Any] | Exception | None = None

    def settle(self) -> None:
        """Tell the caller. In its event loop."""
        if isinstance(self.outcome, Exception):
            self.promise.fail(self.outcome)
        else:
            self.promise.fulfil(self.outcome)


class Writer:
    """Runs jobs in the order they came."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        lock: FileLock,
        path: Path,
        *,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        changed: Callable[[], None],
        terms: Terms,
    ) -> None:
        self.connection = connection
        self._terms = terms
        self._lock = lock
        self._path = path
        self._inode = path.stat().st_ino
        self._wal = path.with_name(f"{path.name}-wal")
        self._checkpoint_above = CHECKPOINT_BYTES
        self._clock = clock
        self._loop = loop
        self._changed = changed
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._last = 0
        """How many changes the last group had."""
        (self._store_id,) = connection.execute("SELECT value FROM meta WHERE key = 'store_id'").fetchone()
        self._thread = threading.Thread(target=self._run, name="mycelium-sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, decide: Decide) -> Committed[Any] | None:
        """Have a change made. Returns when it is durable, or raises what was raised, and then nothing happened.

        Cancellation does not cut it short.
        """
        return await self.write_soon(decide).promise.outcome()

    def write_soon(self, decide: Decide) -> Job:
        """Have a change made, and do not wait. In any thread."""
        job = Job(decide, Promise(self._loop))
        self._jobs.put(job)
        return job

    def finish(self) -> None:
        """Do what was submitted, then end. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (group := self._gather()) is not None:
            self._write(group)
            self._loop.call_soon_threadsafe(_settle, group)

    def _gather(self) -> list[Job] | None:
        """All that wait, or the next that comes; None at the end."""
        group = [self._jobs.get()]
        if self._last >= SEVERAL:
            self._linger()
        while len(group) < GROUP:
            try:
                group.append(self._jobs.get_nowait())
            except Empty:
                break
        self._last = len(group)
        if None not in group:
            return [job for job in group if job]
        end = group.index(None)
        self._jobs.put(None)
        return [job for job in group[:end] if job] or None

    def _linger(self) -> None:
        """Wait while more come: two threads that take turns at the interpreter for each of them cost a tenth more.

        As many as the last time are enough: callers who wait for one before they ask for the next all have asked then.
        """
        waiting = -1
        for _ in range(LOOKS):
            now = self._jobs.qsize()
            if now <= waiting or now + 1 >= self._last:
                return
            waiting = now
            time.sleep(LINGER)

    def _write(self, group: list[Job]) -> None:
        """Commit the group; if that fails, each job by itself, so that one cannot spoil the others."""
        try:
            with translated(self._path), self._lock.held():
                self._still_there()
                if self._commit(group):
                    self._afterwards()
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whatever failed goes to the callers
            if len(group) > 1 and _may_be_one_jobs(error):
                for job in group:
                    self._write([job])
            else:
                for job in group:
                    job.outcome = error

    def _afterwards(self) -> None:
        """What follows a commit. Nothing that fails here undoes it, so no caller is told."""
        try:
            self._changed()
            self._checkpoint()
        except Exception as error:  # noqa: BLE001 - as the docstring says
            log.warning("after a commit to %s: %s", self._path, error)

    def _commit(self, group: list[Job]) -> bool:
        """Do what the group wants in one transaction. Whether anything was written."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            view = RememberingView(connection, self._clock(), self._terms)
            applier = Applier(connection, self._store_id, view.now, view.last_seq(), view.anybody_waits)
            for job in group:
                job.outcome = self._decide(job, view, applier)
            applier.finish()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return applier.wrote

    def _decide(self, job: Job, view: SqliteView, applier: Applier) -> Committed[Any] | MyceliumError | None:
        try:
            change = job.decide(view)
        except MyceliumError as refusal:
            return refusal
        if change is None:
            return None
        committed = applier.apply(change)
        view.forget(change)
        return committed

    def _still_there(self) -> None:
        """Writing into a file that was removed or replaced would lose the write."""
        try:
            same = os.stat(self._path).st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            raise unavailable(self._path, "the file was removed or replaced while it was open; start again")

    def _checkpoint(self) -> None:
        """Move the WAL into the database when it has grown; the next commit then begins it anew, and short.

        While a reader holds on to an old state that cannot be: then try again only after as much growth.
        """
        size = self._wal.stat().st_size if self._wal.exists() else 0
        if size < CHECKPOINT_BYTES:
            self._checkpoint_above = CHECKPOINT_BYTES
        elif size > self._checkpoint_above:
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._checkpoint_above = size + CHECKPOINT_BYTES


def _may_be_one_jobs(error: Exception) -> bool:
    """Whether the rest of a group may succeed without the job that failed."""
    return isinstance(error, StoreFull) or not isinstance(error, StoreError)


def _settle(group: list[Job]) -> None:
    for job in group:
        job.settle()
