"""What a result is made of, as those read it who wait for an answer on `agent_responses`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

RESPONSE = "response"
"""The key of the result under which the blocks are."""


def text(said: str) -> dict[str, JsonValue]:
    """A block that is read."""
    return {"type": "text", "text": said}


def tool_use(name: str, results: JsonValue) -> dict[str, JsonValue]:
    """A block that tells what a tool found."""
    return {"type": "tool_use", "name": name, "results": results}


def result(*blocks: Mapping[str, JsonValue], **more: JsonValue) -> dict[str, JsonValue]:
    """A result of these blocks; `more` stands beside them."""
    return {RESPONSE: [dict(block) for block in blocks], **more}
