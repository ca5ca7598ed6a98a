"""The configuration's file, read with care: whatever lies in its place, no command waits for it without end."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mycelium.errors import InvalidConfig

LARGEST: Final = 1024 * 1024
"""Bytes that a file may have."""


def values_in(text: bytes, file: Path) -> dict[str, Any]:
    """The JSON object, each key of which stands there once.

    Raises:
        InvalidConfig: one does not.
    """

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        if twice := [key for key, count in counts.items() if count > 1]:
            raise _unusable(file, f"{', '.join(map(repr, twice))} is there more than once")
        return dict(pairs)

    values: dict[str, Any] = json.loads(text, object_pairs_hook=once)
    return values


def content_of(file: Path, *, must_exist: bool) -> bytes | None:
    """What is in it; None where there is no file.

    Raises:
        InvalidConfig: it cannot be read, or has to be there and is not.
    """
    try:
        return _content(file).removeprefix(b"\xef\xbb\xbf")
    except (FileNotFoundError, NotADirectoryError) as error:
        leads_nowhere = file.is_symlink()
        if not must_exist and not leads_nowhere:
            return None
        why = "a link that leads nowhere" if leads_nowhere else error.strerror
    except OSError as error:
        why = error.strerror
    except ValueError as error:
        why = str(error)
    raise _unusable(file, why)


def _content(file: Path) -> bytes:
    """What is in it. A pipe or a device is not read, since that might never end.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no ordinary file, is too large, or no file can have this name.
    """
    kind = file.stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # of a folder, opening it says what is wrong
        raise ValueError("not an ordinary file")
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    return content


def _unusable(file: Path, why: str | None) -> InvalidConfig:
    return InvalidConfig(f"file {file}: {why}.", hint="Mend the file, or move it away.", file=str(file))
