"""What a tool answers: short text for the model, the records themselves for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from mcp_types import CallToolResult, TextContent

from mycelium.errors import MyceliumError

LONGEST: Final = 1000
"""Characters of one text in an error: it may quote what was passed in, which has no limit."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A tool's answer. `data` is JSON-ready."""

    text: str
    data: dict[str, Any]

    def result(self) -> CallToolResult:
        """The answer in the protocol's words."""
        return CallToolResult(content=[TextContent(text=self.text)], structured_content=self.data)


def refusal(error: MyceliumError) -> CallToolResult:
    """An error as `code: what is wrong, what to do`; its data goes into `structuredContent["error"]`."""
    said = cast("dict[str, Any]", _brief(error.as_dict()))
    text = f"{said['code']}: {said['message']} {said['hint']}".rstrip()
    return CallToolResult(content=[TextContent(text=text)], structured_content={"error": said}, is_error=True)


def _brief(value: object) -> object:
    match value:
        case str() if len(value) > LONGEST:
            return f"{value[:LONGEST]}…"
        case Mapping():
            return {key: _brief(item) for key, item in cast("Mapping[str, object]", value).items()}
        case list() | tuple():
            return [_brief(item) for item in cast("list[object]", value)[:100]]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
