"""Claude, over the Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import httpx2
from anthropic import APIConnectionError, APIStatusError, AsyncAnthropic, omit

from mycelium.settings import network
from mycelium_worker.model import (
    Block,
    Busy,
    Message,
    Native,
    Rejected,
    Text,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
)
from mycelium_worker.plain import plain
from mycelium_worker.providers.claude_heard import Heard
from mycelium_worker.providers.sdk import STALLED_AFTER, access, hear_out
from mycelium_worker.providers.trouble import broken, of_status, within_stream

if TYPE_CHECKING:
    from anthropic.types import (
        ContentBlockParam,
        ImageBlockParam,
        MessageParam,
        TextBlockParam,
        ToolParam,
        ToolResultBlockParam,
    )

    from mycelium_worker.toolbox import Picture, Tool

SEEN: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""The pictures that it can look at."""


@asynccontextmanager
async def open_claude(settings: network.Claude, *, stalled_after: float = STALLED_AFTER) -> AsyncGenerator[Claude]:
    """A model to ask until the end of this context."""
    async with AsyncAnthropic(**access(settings, stalled_after)) as client:
        yield Claude(client, settings)


class Claude:
    """A model of Anthropic's, or whatever answers in its place."""

    def __init__(self, client: AsyncAnthropic, settings: network.Claude) -> None:
        self._client = client
        self._settings = settings

    @property
    def name(self) -> str:
        return self._settings.model

    async def answer(
        self,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        hear: Callable[[str], None],
        last: bool = False,
        most_tokens: int | None = None,
    ) -> Turn:
        try:
            stream = await self._client.messages.create(
                model=self.name,
                max_tokens=min(self._settings.max_tokens, most_tokens or self._settings.max_tokens),
                # Two marks: one that all tasks of this worker share, and one that moves along with the conversation.
                system=[{"type": "text", "text": plain(system), "cache_control": {"type": "ephemeral"}}],
                cache_control={"type": "ephemeral"},
                messages=[param for message in messages if (param := _message(message))["content"]],
                tools=[_tool(tool) for tool in tools] or omit,
                # The tools are named in the last turn, too: the conversation refers to them, and so does the cache.
                tool_choice={"type": "none"} if last and tools else omit,
                output_config={"effort": self._settings.effort} if self._settings.effort else omit,
                stream=True,
            )
            async with stream:
                return await hear_out(stream, Heard(hear), "Messages API")
        except APIStatusError as error:
            if _too_long(error):
                return Turn((), "context_full", Usage())
            raise _trouble(error) from error
        except (APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
            raise broken(error) from error


def _message(message: Message) -> MessageParam:
    """As the API wants it: results of tools come first."""
    blocks = sorted(message.blocks, key=lambda block: not isinstance(block, ToolResult))
    content = [param for block in blocks if (param := _param(block)) is not None]
    return {"role": "user", "content": content} if message.role == "user" else {"role": "assistant", "content": content}


def _param(block: Block) -> ContentBlockParam | None:
    """The block as it is sent, or None where the API would refuse it: empty text, thought that was cut off."""
    match block:
        case Text(text):
            return {"type": "text", "text": plain(text)} if text.strip() else None
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": dict(block.arguments)}
        case ToolResult():
            return _result(block)
        case Native(value):
            cut = value.get("type") == "thinking" and not value.get("signature")
            return None if cut else cast("ContentBlockParam", dict(value))


def _result(block: ToolResult) -> ToolResultBlockParam:
    text: list[TextBlockParam] = [{"type": "text", "text": plain(block.text)}] if block.text.strip() else []
    pictures = [] if block.is_error else [_picture(picture) for picture in block.pictures]  # errors are text only
    return {
        "type": "tool_result",
        "tool_use_id": block.id,
        "content": [*text, *pictures],
        "is_error": block.is_error,
    }


def _picture(picture: Picture) -> ImageBlockParam | TextBlockParam:
    if picture.media_type not in SEEN:
        return {"type": "text", "text": f"[a picture of type {picture.media_type}, which you cannot see]"}
    source = {"type": "base64", "media_type": picture.media_type, "data": picture.data}
    return cast("ImageBlockParam", {"type": "image", "source": source})


def _tool(tool: Tool) -> ToolParam:
    return {"name": tool.name, "description": plain(tool.description), "input_schema": dict(tool.input_schema)}


def _trouble(error: APIStatusError) -> Busy | Rejected:
    kind, message = _said(error)
    if error.status_code < 400:
        return within_stream(kind, message)
    return of_status(error.status_code, message, error.response.headers)


def _said(error: APIStatusError) -> tuple[str, str]:
    """The type of the error and its message."""
    said = _object(_object(error.body).get("error"))
    return str(said.get("type", "error")), str(said.get("message", error.message))


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _too_long(error: APIStatusError) -> bool:
    """Whether the conversation is longer than the model can read. The API has no type of its own for that."""
    return error.status_code == 400 and "prompt is too long" in _said(error)[1]
