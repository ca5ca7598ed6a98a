"""The seam between the loop that does a task and the model that it asks; another provider is one more file.

A conversation is kept in the blocks below. What only one provider understands (thinking, say) is a `Native` block,
which goes back to it as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pydantic import JsonValue

from mycelium_worker.toolbox import Picture, Tool


@dataclass(frozen=True, slots=True)
class Text:
    """What was said."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The model wants a tool called."""

    id: str
    name: str
    arguments: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the tool answered."""

    id: str
    text: str
    is_error: bool = False
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, slots=True)
class Native:
    """A block that is the provider's own affair."""

    value: Mapping[str, JsonValue]


Block: TypeAlias = Text | ToolUse | ToolResult | Native


@dataclass(frozen=True, slots=True)
class Message:
    """One side's turn to speak."""

    role: Literal["user", "assistant"]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


Stop: TypeAlias = Literal["end", "tool_use", "pause", "max_tokens", "refusal", "context_full"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model said, why it stopped, and what that took."""

    blocks: Sequence[Block]
    stop: Stop
    usage: Usage


class Busy(Exception):
    """The model cannot be asked now: overloaded, too many requests, no connection, or the stream was cut."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(Exception):
    """The model will not answer this, now or later: a wrong key, no such model, a request it cannot read."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Model(Protocol):
    """A model of some provider."""

    @property
    def name(self) -> str:
        """Such as `claude-opus-5-5`."""
        ...

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool], *, hear: Callable[[str], None]
    ) -> Turn:
        """Ask for the next turn. `hear` gets the text as it comes.

        Raises:
            Busy: ask again, after some time.
            Rejected: asking again would not help.
        """
        ...
