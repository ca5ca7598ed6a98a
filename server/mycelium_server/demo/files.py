"""Finding the Python files of a folder, without leaving it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mycelium_server.demo.values import Frozen

PASSED_BY: Final = frozenset(
    {
        "__pycache__", "__pypackages__", "_build", "build", "buck-out", "dist", "node_modules", "site-packages",
        ".bzr", ".cache", ".direnv", ".eggs", ".git", ".hg", ".hypothesis", ".ipynb_checkpoints", ".mycelium",
        ".mypy_cache", ".nox", ".pants.d", ".pyenv", ".pytest_cache", ".pytype", ".ruff_cache", ".svn", ".tox",
        ".venv", ".vscode", "venv",
    }
)  # fmt: skip
"""Folders that hold other people's code, or none. One with a `pyvenv.cfg` is passed by under any name."""
LIST_BYTES: Final = 800_000
"""Room for the names: a task's result is limited to a mebibyte, and JSON may write a letter in six."""
NAMED: Final = 100
"""Files that are left out and still named."""


class LeftOut(Frozen):
    """A file that is not measured, and why."""

    path: str
    why: str


class Listing(Frozen):
    """The Python files of a folder: paths relative to it, with `/`, in their order."""

    files: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """The first `NAMED` of those left out."""
    left_out_count: int = 0


def list_python_files(folder: Path, only: Sequence[str] = ()) -> Listing:
    """Every Python file below `folder`, or below those of its subfolders that `only` names. Links are not followed.

    Raises:
        OSError: the folder itself cannot be read.
    """
    files: list[str] = []
    left_out: list[LeftOut] = []
    room = LIST_BYTES
    for found in _found(folder, only):
        if isinstance(found, LeftOut):
            left_out.append(found)
        elif (room := room - len(found.encode()) - 4) >= 0:
            files.append(found)
        else:
            left_out.append(LeftOut(path=found, why="the list is full"))
    return Listing(files=tuple(files), left_out=tuple(left_out[:NAMED]), left_out_count=len(left_out))


def _found(folder: Path, only: Sequence[str]) -> Iterator[str | LeftOut]:
    os.listdir(folder)  # os.walk would pass over a folder that cannot be read
    unreadable: list[OSError] = []
    for top in [folder / name for name in only] or [folder]:
        for here, folders, names in os.walk(top, onerror=unreadable.append):
            folders[:] = sorted(name for name in folders if _goes_into(Path(here, name)))
            for name in sorted(names):
                if name.endswith(".py"):
                    yield _python_file(Path(here, name), folder)
    for error in unreadable:
        yield LeftOut(path=_relative(Path(error.filename), folder), why=error.strerror or "unreadable")


def _goes_into(folder: Path) -> bool:
    return folder.name not in PASSED_BY and not (folder / "pyvenv.cfg").exists()


def _python_file(path: Path, folder: Path) -> str | LeftOut:
    name = _relative(path, folder)
    if not _is_text(path):
        return LeftOut(path=name, why="its name is not UTF-8")
    mode = _mode(path)
    if stat.S_ISLNK(mode):
        return LeftOut(path=name, why="a link")
    return name if stat.S_ISREG(mode) else LeftOut(path=name, why="not a regular file")


def _relative(path: Path, folder: Path) -> str:
    """With what is not UTF-8 in it spelt out."""
    return path.relative_to(folder).as_posix().encode(errors="backslashreplace").decode()


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0
