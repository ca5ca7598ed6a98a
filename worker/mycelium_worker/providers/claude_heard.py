"""An answer of the Messages API, put together from the events of its stream.

The SDK has a helper for this. It reads the arguments of a tool again at each piece, and gives the whole answer up where
they are not JSON, which is for the model to hear of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from mycelium_worker.model import Block, Native, Stop, Text, ToolUse, Turn, Usage
from mycelium_worker.providers.arguments import arguments_in

if TYPE_CHECKING:
    from anthropic.types import RawContentBlockDelta, RawMessageStreamEvent, RefusalStopDetails
    from pydantic import JsonValue

STOPS: Final[Mapping[str, Stop]] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "max_tokens": "max_tokens",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_full",
}


@dataclass(slots=True)
class _Part:
    """A block as it began, and what was added to it since."""

    value: dict[str, JsonValue]
    text: list[str] = field(default_factory=list[str])
    thinking: list[str] = field(default_factory=list[str])
    written: list[str] = field(default_factory=list[str])
    citations: list[JsonValue] = field(default_factory=list["JsonValue"])
    signature: str | None = None

    def add(self, delta: RawContentBlockDelta) -> None:
        match delta.type:
            case "text_delta":
                self.text.append(delta.text)
            case "input_json_delta":
                self.written.append(delta.partial_json)
            case "thinking_delta":
                self.thinking.append(delta.thinking)
            case "signature_delta":
                self.signature = delta.signature
            case "citations_delta":
                self.citations.append(cast("JsonValue", delta.citation.to_dict(mode="json")))

    def block(self) -> Block:
        value = self._whole()
        if value["type"] == "text" and not self.citations:
            return Text(str(value["text"]))
        if value["type"] == "tool_use":
            given = value["input"] if isinstance(value["input"], dict) else {}
            arguments, problem = arguments_in("".join(self.written)) if self.written else (given, None)
            return ToolUse(str(value["id"]), str(value["name"]), arguments, problem)
        return Native(value)

    def _whole(self) -> dict[str, JsonValue]:
        value = dict(self.value)
        for name, pieces in (("text", self.text), ("thinking", self.thinking)):
            if pieces:
                value[name] = str(value.get(name) or "") + "".join(pieces)
        if self.signature is not None:
            value["signature"] = self.signature
        if self.citations:
            value["citations"] = self.citations
        if self.written and value["type"] != "tool_use":  # a tool that the provider itself has called
            value["input"] = dict(arguments_in("".join(self.written))[0])
        return value


@dataclass(slots=True)
class Heard:
    """As much of the answer as has come. `hear` gets the text at once."""

    hear: Callable[[str], None]
    ended: bool = False
    _parts: dict[int, _Part] = field(default_factory=dict[int, _Part])
    _counts: dict[str, int] = field(default_factory=dict[str, int])
    _stop: Stop = "end"
    _why: str = ""

    def add(self, event: RawMessageStreamEvent) -> None:
        match event.type:
            case "message_start":
                self._count(event.message.usage.to_dict())
            case "content_block_start":
                value = cast("dict[str, JsonValue]", event.content_block.to_dict(mode="json"))
                self._parts[event.index] = _Part(value)
            case "content_block_delta":
                self._parts[event.index].add(event.delta)
                if event.delta.type == "text_delta":
                    self.hear(event.delta.text)
            case "message_delta":
                self._count(event.usage.to_dict())
                self._stop = STOPS.get(event.delta.stop_reason or "", "end")
                self._why = _why(event.delta.stop_details)
            case "message_stop":
                self.ended = True
            case _:
                pass

    def turn(self) -> Turn:
        usage = Usage(
            input=self._counts.get("input_tokens", 0),
            output=self._counts.get("output_tokens", 0),
            cache_read=self._counts.get("cache_read_input_tokens", 0),
            cache_write=self._counts.get("cache_creation_input_tokens", 0),
        )
        return Turn([part.block() for _, part in sorted(self._parts.items())], self._stop, usage, self._why)

    def _count(self, usage: Mapping[str, object]) -> None:
        """Counts are totals: a later one stands for all before it, and one that is missing leaves the last."""
        self._counts |= {name: count for name, count in usage.items() if isinstance(count, int)}


def _why(details: RefusalStopDetails | None) -> str:
    return " ".join(part for part in (details.category, details.explanation) if part) if details else ""
