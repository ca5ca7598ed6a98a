"""A line for every call, refused ones too: who asked for what, how it ended, how long it took."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mycelium_workbench.errors import InvalidInput

CONTENTS: Final = frozenset({"content", "code"})
"""Arguments of which only the size is noted: they may be long, and may be secret."""
LONGEST: Final = 200
"""Characters of most arguments,"""
LONGEST_COMMAND: Final = 4000
"""and of a command, which tells what was done."""
_ADDING: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Audit:
    """Appends to a file, or to stderr. Each line is one write, so that many benches may share a file."""

    def __init__(self, file: Path | None) -> None:
        self._fd = None
        if file is not None:
            try:
                self._fd = os.open(file, _ADDING, 0o600)
            except OSError as error:
                raise InvalidInput(
                    f"{file} cannot be written: {error.strerror}.", hint="Name a plain file, not a link."
                ) from None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def note(self, tool: str, arguments: Mapping[str, Any], outcome: str, started: float, size: int) -> None:
        """Write the line of one call that began at `started` (by `time.monotonic`) and answered `size` bytes."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "tool": tool[:100],
            "arguments": {str(name)[:50]: _noted(name, value) for name, value in list(arguments.items())[:10]},
            "outcome": outcome,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
            "bytes": size,
        }
        written = json.dumps(line, separators=(",", ":")) + "\n"
        if self._fd is None:
            sys.stderr.write(written)
            sys.stderr.flush()
        else:
            os.write(self._fd, written.encode())


def _noted(name: str, value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if name in CONTENTS:
        return f"({len(text)} characters)"
    if name == "stdin":
        return f"({_measured(text)})"
    if name == "url":
        text = _without_secrets(text)
    if name == "command" and len(text) > LONGEST_COMMAND:
        return f"{text[:LONGEST_COMMAND]}… ({_measured(text)})"
    longest = LONGEST_COMMAND if name == "command" else LONGEST
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def _measured(text: str) -> str:
    """What tells whether another text is the same, and no more."""
    encoded = text.encode("utf-8", "surrogatepass")
    return f"{len(encoded)} bytes, SHA-256 {hashlib.sha256(encoded).hexdigest()}"


def _without_secrets(url: str) -> str:
    """The address without user, password and query, where tokens travel."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="…" if parts.query else "", fragment="").geturl()
