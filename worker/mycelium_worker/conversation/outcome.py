"""The result of a task that a model did: its answer first, then the tools it used, of a size that the store takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium.models import MAX_JSON_BYTES
from mycelium_worker import response
from mycelium_worker.plain import clipped, clipped_json, plain
from mycelium_worker.toolbox import Reply

MOST_USES: Final = 50
"""The last so many uses of tools are kept; the log has them all."""
MOST_OF_A_USE: Final = 4_000
"""Characters of what a tool found."""
ROOM: Final = MAX_JSON_BYTES - 64 * 1024
"""Bytes: what is left over is for whatever is put around a result on its way."""
NO_ANSWER: Final = "(The work was stopped before there was an answer.)"
NO_WORDS: Final = "(The model said nothing more after it had used tools.)"


def found(name: str, reply: Reply) -> dict[str, JsonValue]:
    """A block that tells what a tool answered: for programs where it can, else as text."""
    text: JsonValue = clipped(reply.text, MOST_OF_A_USE)
    if reply.is_error:
        return response.tool_use(plain(name), {"error": text})
    if isinstance(reply.structured, dict) and reply.structured:
        return response.tool_use(plain(name), clipped_json(reply.structured, MOST_OF_A_USE))
    return response.tool_use(plain(name), {"text": text})


def outcome(text: str, uses: Sequence[Mapping[str, JsonValue]], **more: JsonValue) -> dict[str, JsonValue]:
    """The whole. What does not fit is left out, the oldest uses of tools first, and a note says so."""
    kept = list(uses[-MOST_USES:])
    text = plain(text).strip() or (NO_ANSWER if "stopped" in more else NO_WORDS)
    while kept and _size(text, kept, more) > ROOM:
        del kept[0]
    if _size(text, kept, more) > ROOM:
        text = _cut(text, ROOM - _size("", kept, more))
    left_out = len(uses) - len(kept)
    if left_out:
        more["tool_uses_left_out"] = left_out
    return response.result(response.text(text), *kept, **more)


def _size(text: str, uses: Sequence[Mapping[str, JsonValue]], more: Mapping[str, JsonValue]) -> int:
    return len(to_json(response.result(response.text(text), *uses, **more)))


def _cut(text: str, room: int) -> str:
    """The beginning of the text that takes at most so many bytes as JSON, found by halves."""
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        fits, too_long = (middle, too_long) if len(to_json(clipped(text, middle))) <= room else (fits, middle)
    return clipped(text, fits)
