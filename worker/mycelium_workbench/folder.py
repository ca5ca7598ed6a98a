"""The folder that is worked in, and the only way to a file in it.

A path is walked one name at a time, each opened relative to the folder before it and never following a link
(`openat` with `O_NOFOLLOW`): what was checked is what is opened, however much is renamed meanwhile. Links are read and
walked in the same way, as far as they stay inside. This works alike on Linux and macOS.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from mycelium_workbench.errors import FileTrouble, InvalidInput, NotAFile, NotFound, OutsideRoot, Protected, TooLarge
from mycelium_workbench.hidden import is_hidden

MOST_LINKS: Final = 20
"""On one way; more are a circle."""
LONGEST_PATH: Final = 4096
DEEPEST: Final = 200
"""Folders on one way, each of which is held open."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_Identity: TypeAlias = tuple[int, int]
"""Of a file or folder: its device's number, and its own there."""
_INSIDE: Final = "Use a path inside the folder that is worked in, relative to it."


class Folder:
    """A root that nothing leads out of."""

    def __init__(
        self, root: Path, fd: int, file_bytes: int, guarded: frozenset[_Identity], hidden: frozenset[str]
    ) -> None:
        self.root = root
        self.fd = fd
        self._file_bytes = file_bytes
        self._guarded = guarded
        self._hidden = hidden
        self._changing = threading.Lock()

    @classmethod
    @contextmanager
    def open(
        cls, root: Path, file_bytes: int, guarded: Iterable[str] = (), hidden: Iterable[str] = ()
    ) -> Generator[Self]:
        """Hold `root` open for the time of this context.

        Nothing is written into the `guarded` paths, and the `hidden` ones, relative to the root and without links on
        the way, are out of reach, as is every folder `.mycelium`.

        Raises:
            NotFound, NotAFile, FileTrouble: it is no folder that can be opened.
        """
        resolved = Path(os.path.realpath(root))
        with _told(str(root)):
            fd = os.open(resolved, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            identities = frozenset(_identity(os.stat(each)) for each in guarded)
            yield cls(resolved, fd, file_bytes, identities, frozenset(map(str.casefold, hidden)))
        finally:
            os.close(fd)

    def read_bytes(self, path: str) -> bytes:
        """The whole of a file.

        Raises:
            WorkbenchError: outside_root, not_found, not_a_file, too_large, invalid_input, file_trouble.
        """
        with self._walk(path) as walk, _told(path):
            return self._read(walk, path)

    def _read(self, walk: _Walk, path: str) -> bytes:
        if walk.name is None:
            raise _not_a_file(path, "a folder")
        fd = os.open(walk.name, _FILE, dir_fd=walk.folder)
        with open(fd, "rb") as file:
            self._check(os.fstat(fd), path)
            content = file.read(self._file_bytes + 1)
        if len(content) > self._file_bytes:  # it grew meanwhile
            raise self._too_large(path, len(content))
        return content

    def write_bytes(self, path: str, content: bytes, *, append: bool = False) -> int:
        """Put `content` into a file, or behind what it holds, and give its new size.

        The file changes as a whole or not at all; whoever reads it meanwhile has the old one. Folders on the way are
        made. A file that is there keeps its mode.

        Raises:
            WorkbenchError: as of `read_bytes`; protected.
        """
        # What is read must still hold when the whole is put back: one change at a time.
        with self._changing, self._walk(path, make=True) as walk, _told(path):
            if walk.name is None or path.endswith("/"):
                raise _not_a_file(path, "a folder")
            before = _look(walk.name, walk.folder)
            if before is not None:
                walk.check_free(before)
            if before is not None and not stat.S_ISREG(before.st_mode):
                raise _not_a_file(path, _kind(before.st_mode))
            whole = self._read(walk, path) + content if append and before is not None else content
            if len(whole) > self._file_bytes:
                raise self._too_large(path, len(whole))
            mode = stat.S_IMODE(before.st_mode) & 0o777 if before is not None else None
            _replace(walk.name, walk.folder, whole, mode)
            return len(whole)

    def check_folder(self, path: str) -> str:
        """The folder's way from the root without links in it: "." for the root itself.

        Raises:
            WorkbenchError: as of `read_bytes`; not_a_file where it is no folder.
        """
        with self._walk(path) as walk, _told(path):
            if walk.name is not None:
                os.close(os.open(walk.name, _FOLDER, dir_fd=walk.folder))
            return "/".join([*walk.way, *([walk.name] if walk.name else [])]) or "."

    @contextmanager
    def _walk(self, path: str, *, make: bool = False) -> Generator[_Walk]:
        names = self._names(path)
        with ExitStack() as stack:
            guarded = self._guarded if make else frozenset[_Identity]()
            walk = _Walk(stack, self.fd, self.root, path, guarded, self._hidden)
            with _told(path):
                walk.go(names, make=make)
            yield walk

    def _names(self, path: str) -> list[str]:
        if not path:
            raise InvalidInput("The path is empty.", hint=_INSIDE)
        if "\0" in path:
            raise InvalidInput("The path has a NUL character in it.", hint=_INSIDE)
        try:
            encoded = os.fsencode(path)
        except UnicodeEncodeError:
            raise InvalidInput("The path has characters that no path can have.", hint=_INSIDE) from None
        if len(encoded) > LONGEST_PATH:
            raise InvalidInput(f"The path has over {LONGEST_PATH} bytes.", hint=_INSIDE)
        return _inside(path, self.root, path)

    def _check(self, found: os.stat_result, path: str) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise _not_a_file(path, _kind(found.st_mode))
        if found.st_size > self._file_bytes:
            raise self._too_large(path, found.st_size)

    def _too_large(self, path: str, size: int) -> TooLarge:
        return TooLarge(
            f"{_shown(path)} has or would have {size} bytes, over the limit of {self._file_bytes}.",
            hint="Use run_command for parts of large files; --file-mb sets the limit.",
            bytes=size,
            limit=self._file_bytes,
        )


@dataclass
class _Walk:
    """A way through folders, each of which is held open: `..` goes back to the one it was reached from."""

    stack: ExitStack
    root_fd: int
    root: Path
    path: str
    guarded: frozenset[_Identity]
    """What this way must not lead into."""
    hidden: frozenset[str]
    """What it must not lead into, by its words without regard to case: it may be there later only."""

    def __post_init__(self) -> None:
        self.folders = [self.root_fd]
        self.way: list[str] = []
        self.name: str | None = None
        """What lies at the end, in the last folder: no link. None: the folder itself."""

    @property
    def folder(self) -> int:
        return self.folders[-1]

    def go(self, names: list[str], *, make: bool) -> None:
        todo, links = list(reversed(names)), 0
        while todo:
            name = todo.pop()
            if name == "..":
                self._back()
                continue
            self._check_seen(name)
            if (target := self._link(name)) is not None:
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, "Too many links")
                del self.folders[1 if target.startswith("/") else len(self.folders) :]
                del self.way[0 if target.startswith("/") else len(self.way) :]
                todo.extend(reversed(_inside(target, self.root, self.path)))
            elif todo:
                self._into(name, make=make)
            else:
                self.name = name

    def _check_seen(self, name: str) -> None:
        if is_hidden(name) or "/".join([*self.way, name]).casefold() in self.hidden:
            raise Protected(
                f"{_shown(self.path)} is what Mycelium keeps for itself.",
                hint="Its configuration and its store are out of reach here.",
            )

    def _back(self) -> None:
        if len(self.folders) == 1:
            raise _outside(self.path)
        self.folders.pop()
        self.way.pop()

    def _link(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self.folder)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:  # no link; not there, which whoever opens it finds
                return None
            raise

    def _into(self, name: str, *, make: bool) -> None:
        if len(self.folders) > DEEPEST:
            raise InvalidInput(f"The path leads through over {DEEPEST} folders.", hint=_INSIDE)
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=self.folder)
        fd = os.open(name, _FOLDER, dir_fd=self.folder)
        self.stack.callback(os.close, fd)
        self.check_free(os.fstat(fd))
        self.folders.append(fd)
        self.way.append(name)

    def check_free(self, found: os.stat_result) -> None:
        """Refuse what is guarded. By its identity: a name has many spellings where case does not count."""
        if _identity(found) in self.guarded:
            raise Protected(
                f"{_shown(self.path)} is code that this workbench runs.", hint="Change it from outside of it."
            )


def _inside(path: str, root: Path, asked: str) -> list[str]:
    """The names on the way, from the root if the path is absolute, which must then lie in it by its words."""
    if path.startswith("/"):
        base = str(root).rstrip("/")
        if path != base and not path.startswith(f"{base}/"):
            raise _outside(asked)
        path = path[len(base) :]
    return [name for name in path.split("/") if name not in {"", "."}]


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _look(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _replace(name: str, folder: int, content: bytes, mode: int | None) -> None:
    passing = f".{secrets.token_hex(8)}.tmp"
    fd = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            if mode is not None:
                os.fchmod(fd, mode)
            os.fsync(fd)
        os.rename(passing, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(passing, dir_fd=folder)
        raise


@contextmanager
def _told(path: str) -> Generator[None]:
    """Say in our words what the system says no to."""
    try:
        yield
    except OSError as error:
        raise _told_of(error, path) from error


def _told_of(error: OSError, path: str) -> Exception:
    shown = _shown(path)
    match error.errno:
        case errno.ENOENT:
            return NotFound(f"{shown} is not there.", hint="search_files shows what is.")
        case errno.ENOTDIR:
            return NotAFile(f"A part of {shown} is no folder.", hint="search_files shows what is there.")
        case errno.EISDIR:
            return _not_a_file(path, "a folder")
        case errno.ELOOP | errno.EMLINK:
            return OutsideRoot(f"{shown} is a circle of links, or was changed meanwhile.", hint=_INSIDE)
        case errno.ENXIO | errno.ENODEV:
            return _not_a_file(path, "a socket or a device")
        case errno.ENAMETOOLONG:
            return InvalidInput(f"A name in {shown} is too long.", hint="Use names of up to 255 bytes.")
        case _:
            return FileTrouble(f"{shown}: {os.strerror(error.errno or 0)}.", hint="Try another path.")


def _outside(path: str) -> OutsideRoot:
    return OutsideRoot(f"{_shown(path)} leads out of the folder that is worked in.", hint=_INSIDE)


def _not_a_file(path: str, kind: str) -> NotAFile:
    return NotAFile(f"{_shown(path)} is {kind}, not a file.", hint="search_files shows the files that are there.")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _shown(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}…")
