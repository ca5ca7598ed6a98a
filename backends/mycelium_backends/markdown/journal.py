"""The journal: what a commit does to the files, durable before any of them is touched.

An entry holds the new contents whole. Its one fsync is the moment of the commit, for all files of a group at once; the
files themselves reach the disk when the journal is emptied. An entry that is not whole never happened. One that
is, and has no mark behind it that its files are written, is finished by whoever has the lock next. One that names
files outside the folder is none of ours.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mycelium_backends.markdown.names import kind_and_key
from mycelium_backends.markdown.opening import open_regular

HEAD: Final = 25
"""Bytes before an entry: its length and its checksum, in hexadecimal, and a line's end."""
DONE: Final = b"written\n"
"""Behind an entry: all its files are written, though perhaps not yet to the disk itself."""
FULL: Final = 4 * 1024 * 1024
"""Bytes after which the files are brought to the disk and the journal is emptied."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file as a commit leaves it: its text, None if it goes; and what it was like before and is after."""

    text: str | None
    before: str
    """What `signature` said of it before; empty where it was not there."""
    after: str = ""
    digest: int = 0
    """Of what stood in it before. A copy of the folder has other signatures, and the same contents."""


def digest_of(text: str) -> int:
    """A number that tells texts apart."""
    return zlib.crc32(text.encode())


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit: its files by name, and what it adds to the log from which place on."""

    files: Mapping[str, Written]
    log_at: int
    log: str

    def encoded(self) -> bytes:
        files = {name: [each.text, each.before, each.after, each.digest] for name, each in self.files.items()}
        body = json.dumps([files, self.log_at, self.log], ensure_ascii=False).encode()
        return b"%016x%08x\n" % (len(body), zlib.crc32(body)) + body


def _decoded(body: bytes) -> Entry | None:
    """The entry; None where it is none of ours, as git may have brought one that anybody made up."""
    try:
        files, log_at, log = json.loads(body)
        written = {name: _written(name, *each) for name, each in files.items()}
        return Entry(written, _number(log_at), _text(log))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _written(name: str, text: object, before: object, after: object, digest: object) -> Written:
    if kind_and_key(name) is None:
        raise ValueError(name)
    return Written(None if text is None else _text(text), _text(before), _text(after), _number(digest))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value))
    value.encode()  # half a surrogate cannot be written
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


class Journal:
    """The file of that name. Use it with the folder's lock held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = open_regular(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._whole = 0

    def settled(self) -> bool:
        """Whether the last entry's files are written."""
        size = self.size()
        return size == 0 or os.pread(self._fd, len(DONE), max(0, size - len(DONE))) == DONE

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def add(self, entry: Entry) -> None:
        """Make an entry durable. If it raises, there is none."""
        self._whole = self.size()
        try:
            self._write(entry.encoded(), self._whole)
            os.fdatasync(self._fd)
        except BaseException:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Undo the last `add`: it never happened."""
        os.ftruncate(self._fd, self._whole)
        os.fdatasync(self._fd)

    def mark(self) -> None:
        """Note that all files of the last entry are written."""
        self._write(DONE, self.size())

    def empty(self) -> None:
        """Forget all entries: everything in them is on the disk."""
        os.ftruncate(self._fd, 0)
        os.fdatasync(self._fd)

    def entries(self) -> Iterator[Entry]:
        """Every whole entry, in order. What stands behind the last whole one never happened, and is cut off."""
        at, size = 0, self.size()
        while at < size:
            head = os.pread(self._fd, HEAD, at)
            if head.startswith(DONE):
                at += len(DONE)
                continue
            entry = self._entry(head, at)
            if entry is None:
                os.ftruncate(self._fd, at)
                return
            yield entry
            at += HEAD + int(head[:16], 16)

    def _entry(self, head: bytes, at: int) -> Entry | None:
        try:
            length, checksum = int(head[:16], 16), int(head[16:24], 16)
        except ValueError:
            return None
        if not 0 < length < self.size():
            return None
        body = os.pread(self._fd, length, at + HEAD)
        return _decoded(body) if len(body) == length and zlib.crc32(body) == checksum else None

    def _write(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, at)
            view, at = view[written:], at + written

    def close(self) -> None:
        os.close(self._fd)
