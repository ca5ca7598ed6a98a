"""A line for every call, refused ones too: who asked for what, how it ended, how long it took."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

CONTENTS: Final = frozenset({"content", "code", "stdin"})
"""Arguments of which only the size is noted: they may be long, and may be secret."""
LONGEST: Final = 200


class Audit:
    """Appends to a file, or to stderr. Each line is one write, so that many benches may share a file."""

    def __init__(self, file: Path | None) -> None:
        self._fd = None
        if file is not None:
            self._fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

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
    if name == "url":
        text = _without_secrets(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _without_secrets(url: str) -> str:
    """The address without user, password and query, where tokens travel."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="…" if parts.query else "", fragment="").geturl()
