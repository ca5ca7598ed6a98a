"""Opening files that git or others may have put there: never through a link, and never what is no regular file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from mycelium.errors import StoreDamaged

SAFE: Final = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags with which a link is refused, and a pipe is not waited for."""
A_LINK: Final = "it is a symbolic link, which is not followed"
NO_FILE: Final = "it is not a regular file"
LINKED: Final = frozenset({errno.ELOOP, errno.EMLINK})
"""What systems say of a link that is not to be followed."""
FOLDERS: Final = frozenset({"new", "index.db-bells"})
"""What Mycelium itself makes folders of in `.state`: contents to come, and the bells of those that wait."""


def damaged(path: Path, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"The file {path} cannot be used: {why}. It was left as it is.",
        hint="Mend it in an editor or with git; `mycelium doctor` lists all such files.",
        path=str(path),
    )


def open_regular(path: Path, flags: int, mode: int = 0o666) -> int:
    """A descriptor of this very file.

    Raises:
        StoreDamaged: it is a link, a folder, a pipe or a device.
        OSError: it cannot be opened.
    """
    try:
        fd = os.open(path, flags | SAFE, mode)
    except OSError as error:
        if why := _refused(path, error):
            raise damaged(path, why) from None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise damaged(path, NO_FILE)


def read_from(path: Path) -> BinaryIO:
    """This very file, to be read. Raises as `open_regular` does."""
    return os.fdopen(open_regular(path, os.O_RDONLY), "rb")


def _refused(path: Path, error: OSError) -> str:
    """Why the system would not open what is no regular file; empty for any other reason."""
    if error.errno in LINKED:
        return A_LINK
    # A folder to be written, a pipe that nobody reads from.
    return NO_FILE if error.errno in (errno.EISDIR, errno.ENXIO) and path.exists() else ""


def check_state(state: Path) -> None:
    """Look whether everything in `.state` is a file there, or a folder that is one.

    Raises:
        StoreDamaged: something is a link or of another kind; through it, files elsewhere would be written.
    """
    if state.is_symlink():
        raise damaged(state, A_LINK)
    for path in sorted(state.iterdir()) if state.is_dir() else ():
        found = path.lstat().st_mode
        if stat.S_ISLNK(found):
            raise damaged(path, A_LINK)
        if not stat.S_ISREG(found) and not (path.name in FOLDERS and stat.S_ISDIR(found)):
            raise damaged(path, NO_FILE)
