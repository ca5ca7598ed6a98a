"""Finishing what stands in the journal: each step may have been done before, or not, or in part."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Final

from mycelium_backends.markdown.folder import SPARE, Folder
from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.index import Index
from mycelium_backends.markdown.journal import Entry, Journal, Written, digest_of
from mycelium_backends.markdown.log import HEAD, line_of
from mycelium_backends.markdown.log import NAME as LOG_NAME
from mycelium_backends.markdown.opening import read_from

GRACE: Final = 0.02
"""Seconds until a log that is missing, as git leaves it while it changes branches, is believed to be."""


def keep_log(folder: Folder, index: Index) -> None:
    """Write a log where there is none: with the events of the index, of which only the log tells others."""
    if os.path.lexists(folder.log):
        return
    lines = [line_of(event) for event in index.events()]
    if lines:
        time.sleep(GRACE)
    if not os.path.lexists(folder.log):
        folder.prepare(LOG_NAME, HEAD + "".join(lines))
        folder.place(LOG_NAME)
        folder.flush(set())


def finish(folder: Folder, journal: Journal, *, doubted: bool = False) -> list[str]:
    """Do what the journal says and is not done yet. The names of the files that it says something of.

    `doubted` after a power cut: a file that seems written is read, since its contents may not have reached the disk.
    """
    entries = list(journal.entries())
    last: dict[str, Written] = {name: written for entry in entries for name, written in entry.files.items()}
    ours: dict[str, Ours] = {}
    for entry in entries:
        for name, written in entry.files.items():
            ours.setdefault(name, Ours()).add(written)
    for name, written in last.items():
        _write(folder, name, written, ours[name], doubted=doubted)
    for entry in entries:
        _add_lines(folder, entry)
    if entries:
        journal.mark()
    return list(last)


@dataclass(slots=True)
class Ours:
    """How a file may be without anybody else having changed it."""

    signatures: set[str] = field(default_factory=set[str])
    digests: set[int] = field(default_factory=set[int])

    def add(self, written: Written) -> None:
        self.signatures |= {written.before, written.after}
        self.digests |= {written.digest, digest_of(written.text or "")}

    def has(self, folder: Folder, name: str, now: str) -> bool:
        if now in self.signatures:
            return True
        try:
            return digest_of(folder.read(name)[0]) in self.digests
        except (OSError, Unreadable):
            return False


def _write(folder: Folder, name: str, written: Written, ours: Ours, *, doubted: bool) -> None:
    """Bring one file to what was committed, unless somebody else has changed it since."""
    now = folder.signature(name)
    if not ours.has(folder, name, now):
        return
    if written.text is None:
        (folder.path / name).unlink(missing_ok=True)
    elif now != written.after:
        if folder.signature(f"{SPARE}/{name}") != written.after:
            folder.prepare(name, written.text)
        folder.place(name)
    elif doubted and (folder.path / name).read_bytes() != written.text.encode():
        folder.prepare(name, written.text)
        folder.place(name)


def _add_lines(folder: Folder, entry: Entry) -> None:
    """Add the lines of an entry that are not in the log yet, also where it was cut within one."""
    wanted = entry.log.encode()
    if not wanted:
        return
    with read_from(folder.log) as log:
        log.seek(entry.log_at)
        found = log.read(len(wanted))
        rest = log.read(1)
    if found == wanted:
        return
    if wanted.startswith(found) and not rest:
        folder.add_to_log(wanted[len(found) :])
        return
    with read_from(folder.log) as log:
        there = set(log)
    missing = [line for line in wanted.splitlines(keepends=True) if line not in there and line.strip()]
    folder.add_to_log(b"".join(missing))
