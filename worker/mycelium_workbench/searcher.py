"""Searches files, as a program of its own that can be ended while a regular expression runs wild.

Knows only the standard library. It is told what to look for in JSON, as its one argument, and writes one line of JSON
for each find as soon as it has it; the last line, `{"files": …}`, says that it is through.
"""

from __future__ import annotations

import json
import os
import re
import resource
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from mycelium_workbench.hidden import is_hidden

PASSED_OVER: Final = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__"})
"""Folders of other programs' own."""
BINARY: Final = b"\0"
LOOKED_AT: Final = 8192
"""Bytes at the beginning of a file in which a NUL shows that it is no text."""
SHOWN: Final = 300
"""Characters of a line."""
DEEPEST: Final = 100
MEMORY: Final = 1024 * 1024 * 1024


def main(argument: str) -> None:
    """Search as told."""
    asked = json.loads(argument)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        pattern = re.compile(asked["pattern"])
        chosen = re.compile(glob_pattern(asked["glob"]))
    except (re.error, OverflowError, RecursionError) as error:
        _say({"invalid": str(error)})
        return
    finds = files = 0
    hidden = frozenset[str](asked["hidden"])
    for path, content in _texts(asked["root"], chosen, asked["file_bytes"], hidden):
        files += 1
        shown_path = os.fsencode(path).decode(errors="replace")  # names need not be UTF-8; what is said must
        for number, line in enumerate(content.splitlines(), 1):
            if (found := pattern.search(line)) is None:
                continue
            finds += 1
            if finds > asked["limit"]:
                _say({"files": files, "more": True})
                return
            _say({"path": shown_path, "line": number, "column": found.start() + 1, "text": _shown(line, found.start())})
    _say({"files": files, "more": False})


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def _shown(line: str, start: int) -> str:
    begin = max(0, start - SHOWN // 3)
    shown = line[begin : begin + SHOWN]
    return f"{'…' if begin else ''}{shown}{'…' if len(line) > begin + SHOWN else ''}"


def _texts(root: int, chosen: re.Pattern[str], most: int, hidden: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Every chosen file that is text and not hidden, by name. Links are not followed, in whatever place they are."""
    # Opened anew, since whoever shares the one that was passed shares its place in the listing.
    for path, folder, name in _within(root, "", ".", 0):
        if chosen.fullmatch(path) is None or _is_below(path.casefold(), hidden):
            continue
        with suppress(OSError):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with open(fd, "rb") as file:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode) or found.st_size > most:
                    continue
                content = file.read(most)
            if BINARY not in content[:LOOKED_AT]:
                yield path, content.decode(errors="replace")


def _is_below(path: str, hidden: frozenset[str]) -> bool:
    return bool(hidden) and any(f"{path}/".startswith(f"{each}/") for each in hidden)


def _files(folder: int, way: str, depth: int) -> Iterator[tuple[str, int, str]]:
    with os.scandir(folder) as entries:
        names = sorted(
            (each.name, each.is_dir(follow_symlinks=False), each.is_file(follow_symlinks=False)) for each in entries
        )
    for name, is_folder, is_file in names:
        if is_file:
            yield f"{way}{name}", folder, name
        elif is_folder and depth < DEEPEST and name not in PASSED_OVER and not is_hidden(name):
            yield from _within(folder, way, name, depth)


def _within(folder: int, way: str, name: str, depth: int) -> Iterator[tuple[str, int, str]]:
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return
    try:
        yield from _files(inner, "" if name == "." else f"{way}{name}/", depth + 1)
    except OSError:
        return
    finally:
        os.close(inner)


_PARTS: Final = re.compile(r"(?P<all>\*\*/)|(?P<deep>\*\*)|(?P<star>\*)|(?P<one>\?)|\[(?P<none>!?)(?P<set>[^\]]+)\]")


def glob_pattern(glob: str) -> str:
    """A glob as a regular expression for whole paths: `**` crosses folders, `*`, `?` and `[…]` do not."""
    said, end = "", 0
    for each in _PARTS.finditer(glob):
        said += re.escape(glob[end : each.start()]) + _translated(each)
        end = each.end()
    return said + re.escape(glob[end:])


def _translated(part: re.Match[str]) -> str:
    match part.lastgroup:
        case "all":
            return "(?:.*/)?"
        case "deep":
            return ".*"
        case "star":
            return "[^/]*"
        case "one":
            return "[^/]"
        case _:
            wanted = part["set"].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
            return f"(?!/)[{'^' if part['none'] else ''}{wanted}]"
