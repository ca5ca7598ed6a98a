"""What a model or a tool said, made fit for the store and the wire: of a bounded length, and writable as UTF-8."""

from __future__ import annotations

import json
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json, to_json

DEEPEST: Final = 100
"""Levels of nesting that are kept: readers of JSON refuse to go deeper than 200, and this is put into other things."""


def plain(text: str) -> str:
    """The text without halves of characters, which JSON can write and UTF-8 cannot. Two that fit become one again."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clipped(text: str, most: int) -> str:
    """At most so many characters, with a note of how many there were."""
    text = plain(text)
    return text if len(text) <= most else f"{text[:most]} ... [cut: {len(text)} characters in all]"


def clipped_json(value: JsonValue, most: int) -> JsonValue:
    """The value itself where it is small and flat enough, else the beginning of how it is written."""
    try:
        written = plain(json.dumps(value, ensure_ascii=False, allow_nan=False))
        if len(written) > most:
            return {"cut": clipped(written, most)}
        sound: JsonValue = json.loads(written)
        from_json(b"[" * DEEPEST + to_json(sound) + b"]" * DEEPEST)  # what nobody could read back is not kept
        return sound
    except (ValueError, RecursionError):
        return {"cut": "[left out: nested too deeply, or no JSON]"}
