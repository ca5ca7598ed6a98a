"""What a tool answers: short text for the model, the same as data for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from mcp_types import CallToolResult, ImageContent, TextContent

from mycelium_workbench.errors import WorkbenchError

LONGEST: Final = 1000
"""Characters of one text in an error's message: it may quote what was passed in."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A tool's answer. `data` is JSON-ready; `png` is a picture in base64."""

    text: str
    data: dict[str, Any]
    png: str | None = None

    def result(self) -> CallToolResult:
        """The answer in the protocol's words.

        What it says is there both as text and as data, since a client shows its model one of them. Some show data
        wherever there are any, and a picture would be lost on their model: it comes with text alone, which says the
        same.
        """
        said = TextContent(text=self.text)
        if self.png is None:
            return CallToolResult(content=[said], structured_content=self.data)
        return CallToolResult(content=[said, ImageContent(data=self.png, mime_type="image/png")])


def refusal(error: WorkbenchError) -> CallToolResult:
    """An error as `code: what is wrong, what to do`; its data goes into `structuredContent["error"]`.

    What a command had written until it was stopped is in the text as well.
    """
    said = error.as_dict() | {"message": _brief(error.message), "hint": _brief(error.hint)}
    text = f"{said['code']}: {said['message']} {said['hint']}".rstrip()
    if output := error.data.get("output"):
        text = f"{text}\n{output}"
    return CallToolResult(content=[TextContent(text=text)], structured_content={"error": _plain(said)}, is_error=True)


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _plain(value: object) -> object:
    """JSON-ready, whatever an error was given."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
        case list() | tuple():
            return [_plain(item) for item in cast("list[object]", value)]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
