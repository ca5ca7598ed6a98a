"""Code of our own that lies in the folder that is worked in, as a project's `.venv` does.

Commands have walls around them, the server has none: what it runs, or may yet load, must stay as it is. Whatever of
that lies below the root is `guarded`: no tool writes there, and commands find it read-only.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mycelium_workbench.errors import InvalidInput
from mycelium_workbench.helper import PACKAGES

MOST_LINKS: Final = 40
_ELSEWHERE: Final = "Install Mycelium outside of the folder that is worked in, or work in another."


def guarded(root: Path) -> tuple[str, ...]:
    """The real paths below `root` of all that this process runs and may yet load; none lies within another.

    Raises:
        InvalidInput: it cannot be told apart from the folder that is worked in.
    """
    return below(root, [*_needed(), *_loaded(root)], _searched())


def below(root: Path, needed: Iterable[str], searched: Iterable[str] = ()) -> tuple[str, ...]:
    """As `guarded`, of these places. `searched` ones may have the whole root in them, `needed` ones may not."""
    top = os.path.realpath(root)
    found: set[str] = set()
    for path in needed:
        found.update(_on_the_way(path, top))
        if is_within(top, os.path.realpath(path)):
            raise InvalidInput(f"{root} lies in Mycelium's own code ({path}).", hint=_ELSEWHERE)
    for path in searched:
        found.update(_on_the_way(path, top))
    return tuple(sorted(each for each in found if not any(is_within(each, other) for other in found - {each})))


def is_within(path: str, folder: str) -> bool:
    """Whether a real path is this folder or lies below it, by their words."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def forget_imports_from(root: Path) -> None:
    """Let this process import nothing more from places that commands may fill."""
    kept = guarded(root)
    top = os.path.realpath(root)

    def stays(entry: str) -> bool:
        real = os.path.realpath(entry)  # of "", the working folder
        return not is_within(real, top) or any(is_within(real, each) for each in kept)

    sys.path[:] = [each for each in sys.path if stays(each)]


def search_path(root: Path, guarded: Iterable[str]) -> str:
    """The PATH for programs that run without walls: its folders that commands cannot fill."""
    top, kept = os.path.realpath(root), tuple(guarded)
    folders = (os.environ.get("PATH") or os.defpath).split(os.pathsep)
    return os.pathsep.join(each for each in folders if os.path.isabs(each) and not in_reach(each, top, kept))


def in_reach(path: str, root: str, guarded: Iterable[str]) -> bool:
    """Whether commands could put something else in this place, or in the way to it."""
    kept = tuple(guarded)
    steps = [step for step, _ in _way(path)]
    return any(is_within(step, root) and not any(is_within(step, each) for each in kept) for step in steps)


def _needed() -> Iterator[str]:
    """Where the code is that is certainly run, now and at the next start."""
    yield PACKAGES
    yield sys.executable
    yield os.path.dirname(sys.executable)
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts"))
    if sys.pycache_prefix:
        yield sys.pycache_prefix
    try:
        from ruff import find_ruff_bin  # pyright: ignore[reportMissingTypeStubs]  it has none

        yield os.path.dirname(find_ruff_bin())
    except (ImportError, OSError):
        pass  # then none is run either


def _searched() -> Iterator[str]:
    """Where Python looks for code, and for what it is told at its start."""
    yield from (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    yield os.path.join(sys.prefix, "pyvenv.cfg")
    yield from (each for each in sys.path if each)


def _loaded(root: Path) -> Iterator[str]:
    """Packages and modules in use, wherever they were found."""
    top = os.path.realpath(root)
    for name, module in list(sys.modules.items()):
        if "." in name:
            continue
        for place in [*(getattr(module, "__path__", None) or ()), getattr(module, "__file__", None)]:
            if isinstance(place, str) and (is_within(place, top) or is_within(os.path.realpath(place), top)):
                yield place


def _on_the_way(path: str, root: str) -> Iterator[str]:
    """What of the way to a place must stay as it is: the place itself, and the folders of links that lead there."""
    for step, is_link in _way(path):
        if step == root or not is_within(step, root):
            continue
        if not is_link:
            if os.path.lexists(step):
                yield step
        elif (folder := os.path.dirname(step)) == root:
            raise InvalidInput(f"{step} is a link that leads to Mycelium's own code.", hint=_ELSEWHERE)
        else:
            yield folder


def _way(path: str) -> Iterator[tuple[str, bool]]:
    """Every link that the kernel follows to a place, and the place at the end; True for links."""
    here, links = "/", 0
    todo = list(reversed(os.path.abspath(path).split("/")))
    while todo:
        name = todo.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, name)
        if not os.path.islink(step):
            here = step
            continue
        links += 1
        if links > MOST_LINKS:
            return
        yield step, True
        target = os.readlink(step)
        here = "/" if target.startswith("/") else here
        todo.extend(reversed(target.split("/")))
    yield here, False
