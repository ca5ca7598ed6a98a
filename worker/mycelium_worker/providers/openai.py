"""Models behind OpenAI's Chat Completions API, which many endpoints speak, local ones among them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, omit

from mycelium.settings import network
from mycelium_worker.model import (
    Block,
    Message,
    Text,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
)
from mycelium_worker.plain import plain
from mycelium_worker.providers.openai_heard import Heard
from mycelium_worker.providers.sdk import STALLED_AFTER, access, hear_out
from mycelium_worker.providers.trouble import broken, of_status, within_stream

if TYPE_CHECKING:
    from openai.types.chat import (
        ChatCompletionContentPartParam,
        ChatCompletionFunctionToolParam,
        ChatCompletionMessageFunctionToolCallParam,
        ChatCompletionMessageParam,
    )

    from mycelium_worker.toolbox import Tool

TOO_LONG: Final = "context_length_exceeded"


@asynccontextmanager
async def open_openai(settings: network.OpenAI, *, stalled_after: float = STALLED_AFTER) -> AsyncGenerator[OpenAI]:
    """A model to ask until the end of this context."""
    async with AsyncOpenAI(**access(settings, stalled_after)) as client:
        yield OpenAI(client, settings)


class OpenAI:
    """A model of OpenAI's, or whatever answers in its place."""

    def __init__(self, client: AsyncOpenAI, settings: network.OpenAI) -> None:
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
        said: list[ChatCompletionMessageParam] = [{"role": "system", "content": plain(system)}]
        for message in messages:
            said += _params(message)
        try:
            stream = await self._client.chat.completions.create(
                model=self.name,
                max_completion_tokens=min(self._settings.max_tokens, most_tokens or self._settings.max_tokens),
                messages=said,
                tools=[_tool(tool) for tool in tools] or omit,
                tool_choice="none" if last and tools else omit,
                stream=True,
                stream_options={"include_usage": True},
            )
            async with stream:
                return await hear_out(stream, Heard(hear), "Chat Completions API")
        except APIStatusError as error:
            if error.code == TOO_LONG:
                return Turn((), "context_full", Usage())
            raise of_status(error.status_code, error.message, error.response.headers) from error
        except (APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
            raise broken(error) from error
        except APIError as error:  # within the stream; the two above are kinds of it
            raise within_stream(error.type or error.code or "error", error.message) from error


def _params(message: Message) -> list[ChatCompletionMessageParam]:
    """As the API wants it: each result of a tool is a message of its own, and what is shown comes after them."""
    if message.role == "assistant":
        return _assistant(message)
    results = [block for block in message.blocks if isinstance(block, ToolResult)]
    said: list[ChatCompletionMessageParam] = [
        {"role": "tool", "tool_call_id": block.id, "content": _said(block)} for block in results
    ]
    if shown := _shown(results) + _texts(message.blocks):
        said.append({"role": "user", "content": shown})
    return said


def _assistant(message: Message) -> list[ChatCompletionMessageParam]:
    """One message, or none where nothing was said: the API refuses an empty one."""
    text = "".join(block.text for block in message.blocks if isinstance(block, Text))
    calls: list[ChatCompletionMessageFunctionToolCallParam] = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": json.dumps(dict(block.arguments))},
        }
        for block in message.blocks
        if isinstance(block, ToolUse)
    ]
    if calls:
        return [{"role": "assistant", "content": plain(text) or None, "tool_calls": calls}]
    return [{"role": "assistant", "content": plain(text)}] if text.strip() else []


def _said(block: ToolResult) -> str:
    """What the tool said; that it failed has no other place in this API."""
    text = plain(block.text) or ("(see the pictures below)" if block.pictures else "(nothing)")
    return f"Error: {text}" if block.is_error else text


def _shown(results: Sequence[ToolResult]) -> list[ChatCompletionContentPartParam]:
    """The pictures, which messages of tools cannot hold."""
    parts: list[ChatCompletionContentPartParam] = []
    for block in results:
        if block.pictures:
            parts.append({"type": "text", "text": f"The pictures that the call {block.id} returned:"})
        for picture in block.pictures:
            url = f"data:{picture.media_type};base64,{picture.data}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _texts(blocks: Sequence[Block]) -> list[ChatCompletionContentPartParam]:
    return [{"type": "text", "text": plain(block.text)} for block in blocks if isinstance(block, Text)]


def _tool(tool: Tool) -> ChatCompletionFunctionToolParam:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": plain(tool.description),
            "parameters": dict(tool.input_schema),
        },
    }
