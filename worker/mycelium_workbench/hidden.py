"""What Mycelium keeps for itself in the folder that is worked in: every folder `.mycelium`, and whatever it is told of.

There lie a team's configuration, with its secrets and with what is started next time, and its store. No tool sees or
changes any of it: the six tools by its name, so that none is made either, and commands by walls in its place.

Knows only the standard library, since helpers use it, too.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

NAME: Final = ".mycelium"
CONFIGURATION: Final = "config.json"
MOST_LOOKED_AT: Final = 20_000
"""Folders, the upper ones first, in which others than the root's own are looked for."""
COMPANIONS: Final = ("-wal", "-shm", "-lock", "-journal")
"""What SQLite and Mycelium put beside a store's file."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is out of reach, also where case does not count."""
    return name.casefold() == NAME


def way_is_hidden(path: str) -> bool:
    """Whether one of the names on this way is."""
    return any(map(is_hidden, path.split("/")))


def with_companions(path: str) -> Iterator[str]:
    """A place, and what may come and go beside it."""
    yield path
    yield from (f"{path}{end}" for end in COMPANIONS)


def folders_below(root: str, most: int = MOST_LOOKED_AT) -> Iterator[str]:
    """The folders of that name, wherever below the root, as far as it can be looked through."""
    todo, here = [root], 0
    while here < len(todo):
        for path, name in _folders_in(todo[here]):
            if is_hidden(name):
                yield path
            else:
                todo.append(path)
        here += 1
        if len(todo) > most:
            return


def _folders_in(folder: str) -> list[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            return [(each.path, each.name) for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []


@contextmanager
def none_made(root: Path, fd: int) -> Generator[list[str]]:
    """Set aside a `.mycelium` that comes into the root meanwhile, if the next Mycelium started there would obey it.

    Fills the list with the name under which it lies there now. One with a store alone stays: it may be a team's, which
    somebody began just then.
    """
    before = _which(root / NAME)
    aside: list[str] = []
    try:
        yield aside
    finally:
        made = _which(root / NAME) not in (None, before)  # another one counts, too: what was there may be aside by now
        if made and (os.path.islink(root / NAME) or os.path.lexists(root / NAME / CONFIGURATION)):
            name = f"mycelium-set-aside-{secrets.token_hex(4)}"
            with suppress(FileNotFoundError):  # another command's end was faster
                os.rename(NAME, name, src_dir_fd=fd, dst_dir_fd=fd)
                aside.append(name)


def _which(path: Path) -> tuple[int, int] | None:
    """What tells the file that has this name from others."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
