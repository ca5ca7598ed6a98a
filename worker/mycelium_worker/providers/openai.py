"""Models behind OpenAI's Chat Completions API, which many endpoints speak, local ones among them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, Timeout, omit

from mycelium.settings import network
from mycelium_worker.model import (
    Block,
    Busy,
    Message,
    Stop,
    Text,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
)
from mycelium_worker.plain import plain
from mycelium_worker.providers.arguments import arguments_in
from mycelium_worker.providers.trouble import STALLED_AFTER, broken, no_such_api, of_status, within_stream

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types import CompletionUsage
    from openai.types.chat import (
        ChatCompletionChunk,
        ChatCompletionContentPartParam,
        ChatCompletionFunctionToolParam,
        ChatCompletionMessageFunctionToolCallParam,
        ChatCompletionMessageParam,
    )
    from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

    from mycelium_worker.toolbox import Tool

STOPS: Final[Mapping[str, Stop]] = {
    "stop": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}
TOO_LONG: Final = "context_length_exceeded"


@asynccontextmanager
async def open_openai(settings: network.OpenAI, *, stalled_after: float = STALLED_AFTER) -> AsyncGenerator[OpenAI]:
    """A model to ask until the end of this context."""
    client = AsyncOpenAI(
        # Where there is no key, none is looked for elsewhere: an endpoint of one's own may not want any.
        api_key=settings.api_key.get_secret_value() if settings.api_key else "none",
        base_url=settings.base_url,
        max_retries=0,  # the conversation waits itself, tells of it, and knows how long it may
        timeout=Timeout(stalled_after, connect=min(10.0, stalled_after)),
    )
    async with client:
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
                return await _heard(stream, hear)
        except APIStatusError as error:
            if error.code == TOO_LONG:
                return Turn((), "context_full", Usage())
            raise of_status(error.status_code, error.message, error.response.headers) from error
        except (APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
            raise broken(error) from error
        except APIError as error:  # within the stream; the two above are kinds of it
            raise within_stream(error.type or error.code or "error", error.message) from error


@dataclass(slots=True)
class _Call:
    """A call of a tool, as far as it has come."""

    id: str = ""
    name: str = ""
    written: str = ""

    def add(self, more: ChoiceDeltaToolCall) -> None:
        self.id = more.id or self.id
        if more.function is not None:
            self.name = self.name or more.function.name or ""
            self.written += more.function.arguments or ""


@dataclass(slots=True)
class _Answer:
    """An answer, as far as it has come."""

    text: str = ""
    refusal: str = ""
    calls: dict[int, _Call] = field(default_factory=dict[int, _Call])
    finish: str | None = None
    usage: Usage = field(default_factory=Usage)

    def add(self, delta: ChoiceDelta, hear: Callable[[str], None]) -> None:
        if delta.content:
            self.text += delta.content
            hear(delta.content)
        self.refusal += delta.refusal or ""
        for call in delta.tool_calls or ():
            self.calls.setdefault(call.index, _Call()).add(call)

    def turn(self) -> Turn:
        blocks: list[Block] = [Text(self.text)] if self.text else []
        for index, call in sorted(self.calls.items()):
            arguments, problem = arguments_in(call.written)
            blocks.append(ToolUse(call.id or f"call_{index}", call.name, arguments, problem))
        stop = "refusal" if self.refusal else STOPS.get(self.finish or "", "end")
        return Turn(blocks, "tool_use" if self.calls and stop == "end" else stop, self.usage, self.refusal)


async def _heard(stream: AsyncStream[ChatCompletionChunk], hear: Callable[[str], None]) -> Turn:
    answer = _Answer()
    try:
        async for chunk in stream:
            if chunk.usage is not None:
                answer.usage = _usage(chunk.usage)
            for choice in chunk.choices[:1]:
                answer.add(choice.delta, hear)
                answer.finish = choice.finish_reason or answer.finish
        if answer.finish is not None:
            return answer.turn()
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # chunks that are not what the API says
        raise broken(error) from error
    if "event-stream" not in stream.response.headers.get("content-type", ""):
        raise no_such_api(str(stream.response.url), "Chat Completions API")
    raise Busy("the stream ended before the answer did")


def _usage(usage: CompletionUsage) -> Usage:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    return Usage(input=usage.prompt_tokens - cached, output=usage.completion_tokens, cache_read=cached)


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
