"""Reading other programs' files: as text, and no more than any of them has."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from mycelium.errors import InvalidInput
from mycelium_server.migrate.foreign import unusable

MAX_BYTES: Final = 64 * 1024 * 1024
"""What a device or a damaged file gives beyond this is no longer anybody's tasks."""


def text_of(file: Path) -> str:
    """What the file says, without a mark at its beginning.

    Raises:
        InvalidInput: it is not UTF-8, or longer than any such file.
    """
    try:
        return bytes_of(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unusable(str(file), f"not UTF-8 ({error.reason})") from None


def bytes_of(file: Path) -> bytes:
    """What the file has.

    Raises:
        InvalidInput: it is longer than any such file.
    """
    with file.open("rb") as content:
        return all_of(content, str(file))


def all_of(content: BinaryIO, name: str, head: bytes = b"") -> bytes:
    """All that the content has, behind what was read of it before.

    Raises:
        InvalidInput: it has no end within reason.
    """
    whole = head + content.read(max(0, MAX_BYTES + 1 - len(head)))
    if len(whole) > MAX_BYTES:
        raise unending(name)
    return whole


def unending(name: str) -> InvalidInput:
    """The error for content that goes on for longer than any tasks do."""
    return unusable(name, f"more than {MAX_BYTES // 1024**2} MiB in one piece")
