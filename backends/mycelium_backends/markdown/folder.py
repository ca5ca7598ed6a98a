"""The folder: which of its files are records, what they are like, and how they are replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.journal import Entry, Written, digest_of
from mycelium_backends.markdown.log import NAME as LOG_NAME
from mycelium_backends.markdown.names import RECORD
from mycelium_backends.markdown.opening import A_LINK, NO_FILE, SAFE, open_regular, read_from

STATE: Final = ".state"
"""The folder within, of what can be made anew from the files: it is never committed."""
SPARE: Final = f"{STATE}/new"
LARGEST: Final = 16 * 1024 * 1024
"""Bytes that a record's file may have. Larger ones are refused without being read."""
KEPT: Final = {
    ".gitignore": f"# What Mycelium makes anew from the files beside it.\n{STATE}/\n",
    ".gitattributes": f"# Two branches that both added events: keep the lines of both.\n{LOG_NAME} merge=union\n",
}


def _signature(seen: os.stat_result) -> str:
    return f"{seen.st_ino}:{seen.st_mtime_ns}:{seen.st_size}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of records."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / STATE

    @property
    def index(self) -> Path:
        return self.state / "index.db"

    @property
    def log(self) -> Path:
        return self.path / LOG_NAME

    @property
    def spare(self) -> Path:
        """Where new contents wait to take the place of old ones."""
        return self.path / SPARE

    def make(self) -> None:
        """Make what is not there yet, besides the log."""
        self.spare.mkdir(parents=True, exist_ok=True)
        for name, text in KEPT.items():
            if not os.path.lexists(self.path / name):
                (self.path / name).write_text(text, encoding="utf-8")

    def signatures(self) -> Iterator[tuple[str, str]]:
        """The name and the signature of every record's file."""
        with os.scandir(self.path) as entries:
            for entry in entries:
                if RECORD.fullmatch(entry.name):
                    try:
                        yield entry.name, _signature(entry.stat(follow_symlinks=False))
                    except FileNotFoundError:
                        continue

    def read(self, name: str) -> tuple[str, str]:
        """A record's text, and the signature it had.

        Raises:
            Unreadable: it is nothing that could be a record; says why.
            FileNotFoundError: it is gone.
        """
        path = self.path / name
        before = path.lstat()
        if reason := _refusal(before):
            raise Unreadable(reason)
        # Should it be replaced by a link or a pipe this moment, neither is followed or waited for.
        fd = os.open(path, os.O_RDONLY | SAFE)
        with os.fdopen(fd, "rb") as file:
            data = file.read(LARGEST + 1)
        try:
            return data.decode(), _signature(before)
        except UnicodeDecodeError as error:
            raise Unreadable(f"it is not text in UTF-8: {error.reason} at byte {error.start}") from None

    def log_size(self) -> int:
        """Bytes in the log; none where it is missing."""
        return self.log.lstat().st_size if os.path.lexists(self.log) else 0

    def log_mark(self, size: int | None = None) -> str:
        """What tells that the log was changed by others than Mycelium; or will, when it has grown to `size`.

        Empty where it is missing.
        """
        try:
            seen = self.log.lstat()
        except FileNotFoundError:
            return ""
        return f"{seen.st_ino}:{seen.st_size if size is None else size}"

    def log_break(self) -> str:
        """A line's end, where the log's last line has none."""
        with read_from(self.log) as log:
            if not log.seek(0, os.SEEK_END):
                return ""
            log.seek(-1, os.SEEK_END)
            return "" if log.read() == b"\n" else "\n"

    def add_to_log(self, data: bytes) -> None:
        """Write at the log's end."""
        if data:
            with os.fdopen(open_regular(self.log, os.O_WRONLY | os.O_APPEND), "wb") as log:
                log.write(data)

    def signature(self, name: str) -> str:
        """What tells that a file was changed, without reading it; empty where there is none."""
        # Several times at each commit, so without a Path, which takes longer than the look itself.
        try:
            return _signature(os.lstat(f"{self.path}/{name}"))
        except FileNotFoundError:
            return ""

    def prepare(self, name: str, text: str) -> str:
        """Write new contents aside, with the rights of the old. Their signature once they are in place."""
        fd = os.open(f"{self.path}/{SPARE}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | SAFE, 0o666)
        with os.fdopen(fd, "wb", buffering=0) as file:
            _keep_rights(f"{self.path}/{name}", fd)
            data = memoryview(text.encode())
            while data:
                data = data[file.write(data) :]
            return _signature(os.fstat(fd))

    def place(self, name: str) -> None:
        """Let prepared contents take the place of the old ones, in one step."""
        os.replace(f"{self.path}/{SPARE}/{name}", f"{self.path}/{name}")

    def write(self, entry: Entry) -> None:
        """Put the prepared files of a commit in their places, and its lines into the log.

        A file that somebody has changed in the last moment stays; it is taken up, together with this change.
        """
        for name, written in entry.files.items():
            if self._was_changed(name, written):
                (self.spare / name).unlink(missing_ok=True)
            elif written.text is None:
                (self.path / name).unlink(missing_ok=True)
            else:
                self.place(name)
        self.add_to_log(entry.log.encode())

    def _was_changed(self, name: str, written: Written) -> bool:
        """Whether a file is not what it was; its contents are compared too, as a program may keep size and time."""
        if self.signature(name) != written.before:
            return True
        try:
            return bool(written.before and written.digest) and digest_of(self.read(name)[0]) != written.digest
        except Unreadable:
            return True

    def clear(self) -> None:
        """Drop what was prepared and never placed."""
        # By the folder's descriptor, so that nothing is removed through a link that somebody put in its place.
        with suppress(OSError):  # what stays is overwritten when its name is next prepared
            fd = os.open(self.spare, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | SAFE)
            try:
                for name in filter(RECORD.fullmatch, os.listdir(fd)):
                    os.unlink(name, dir_fd=fd)
            finally:
                os.close(fd)

    def flush(self, names: set[str]) -> None:
        """Bring these files, the log and the folder to the disk."""
        for path in [*(self.path / name for name in names), self.log, self.path]:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
            except OSError:
                continue  # it was removed, or is a person's link by now
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _keep_rights(path: str, fd: int) -> None:
    """Give a new file the rights that somebody gave the one it replaces."""
    try:
        wanted = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(wanted) and wanted != os.fstat(fd).st_mode:
        os.fchmod(fd, stat.S_IMODE(wanted))


def _refusal(seen: os.stat_result) -> str:
    if stat.S_ISLNK(seen.st_mode):
        return A_LINK
    if not stat.S_ISREG(seen.st_mode):
        return NO_FILE
    if seen.st_size > LARGEST:
        return f"it has {seen.st_size:,} bytes, the limit is {LARGEST:,}"
    return ""
