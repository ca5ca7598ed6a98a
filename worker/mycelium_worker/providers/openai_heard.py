"""An answer of the Chat Completions API, put together from the chunks of its stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mycelium_worker.model import Block, Stop, Text, ToolUse, Turn, Usage
from mycelium_worker.providers.arguments import arguments_in

if TYPE_CHECKING:
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall

STOPS: Final[Mapping[str, Stop]] = {
    "stop": "end",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


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
class Heard:
    """As much of the answer as has come. `hear` gets the text at once."""

    hear: Callable[[str], None]
    _text: str = ""
    _refusal: str = ""
    _calls: dict[int, _Call] = field(default_factory=dict[int, _Call])
    _finish: str | None = None
    _usage: Usage = field(default_factory=Usage)

    @property
    def ended(self) -> bool:
        return self._finish is not None

    def add(self, event: ChatCompletionChunk) -> None:
        if event.usage is not None:
            self._usage = _usage(event.usage)
        for choice in event.choices[:1]:
            self._add(choice.delta)
            self._finish = choice.finish_reason or self._finish

    def _add(self, delta: ChoiceDelta) -> None:
        if delta.content:
            self._text += delta.content
            self.hear(delta.content)
        self._refusal += delta.refusal or ""
        for call in delta.tool_calls or ():
            self._calls.setdefault(call.index, _Call()).add(call)

    def turn(self) -> Turn:
        blocks: list[Block] = [Text(self._text)] if self._text else []
        for index, call in sorted(self._calls.items()):
            arguments, problem = arguments_in(call.written)
            blocks.append(ToolUse(call.id or f"call_{index}", call.name, arguments, problem))
        stop = "refusal" if self._refusal else STOPS.get(self._finish or "", "end")
        return Turn(blocks, "tool_use" if self._calls and stop == "end" else stop, self._usage, self._refusal)


def _usage(usage: CompletionUsage) -> Usage:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    return Usage(input=usage.prompt_tokens - cached, output=usage.completion_tokens, cache_read=cached)
