"""Notices what others do to the files while nobody asks for them."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.index import Index
from mycelium_backends.sqlite import connection as connections

log = logging.getLogger("mycelium.markdown")

PAUSE: Final = 0.25
"""Seconds between two looks at all files, at least."""
SHARE: Final = 0.005
"""Of the time, at most, is spent on looking: in a large folder the pauses are longer."""


class Watcher:
    """Looks at all files again and again, in a thread of its own, and says which are not what was indexed."""

    def __init__(self, folder: Folder, changed: Callable[[Sequence[str]], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mycelium-markdown-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End. Blocks until it has."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        connection = connections.reader(self._folder.index)
        try:
            pause = PAUSE
            while not self._over.wait(pause):
                began = time.thread_time()
                self._look(connection)
                pause = max(PAUSE, (time.thread_time() - began) / SHARE)
        finally:
            connection.close()

    def _look(self, connection: sqlite3.Connection) -> None:
        try:
            if changed := differing(self._folder, Index(connection)):
                self._changed(changed)
        except (OSError, sqlite3.Error) as error:
            log.info("%s could not be looked at: %s", self._folder.path, error)


def differing(folder: Folder, index: Index) -> list[str]:
    """The files that are not what was indexed; the log's name stands for the log."""
    there, known = dict(folder.signatures()), index.signatures()
    names = [name for name, seen in there.items() if known.get(name) != seen]
    names += [name for name in known if name not in there]
    if folder.log_mark() != index.meta("log"):
        names.append(folder.log.name)
    return sorted(names)
