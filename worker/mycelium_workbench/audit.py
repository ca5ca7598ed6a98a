"""Two lines for every call, refused ones too: what was asked for, and how it ended and how long it took.

The first is there before anything is done, so that a call that ends with its workbench has left one as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass
class Heard:
    """What became of a call, as far as that is known."""

    outcome: str = "cancelled"
    bytes: int = 0
    """Of its answer."""


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

    @contextmanager
    def noting(self, tool: str, arguments: Mapping[str, Any]) -> Generator[Heard]:
        """Write a line now and one at the end, which tells what was heard of the call meanwhile."""
        call, started, heard = secrets.token_hex(6), time.monotonic(), Heard()
        noted = {str(name)[:50]: _noted(name, value) for name, value in list(arguments.items())[:10]}
        self._write({"call": call, "tool": tool[:100], "arguments": noted, "outcome": "began"})
        try:
            yield heard
        finally:
            took = round((time.monotonic() - started) * 1000, 1)
            ended = {"outcome": heard.outcome, "milliseconds": took, "bytes": heard.bytes}
            self._write({"call": call, "tool": tool[:100], **ended})

    def _write(self, said: Mapping[str, Any]) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **said}
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
