"""What the demo's values have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value that travels between processes as JSON."""

    model_config = ConfigDict(frozen=True)


def printable(text: str) -> str:
    """The text on one line, with nothing in it that a terminal obeys: file names may contain anything."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
