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
    unreadable: str | None = None
    """What is wrong with the arguments where they are not a JSON object; there are none then."""


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
    """Tokens. `input` is what came neither from the cache nor went into it."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """All of them, both ways, whether the cache had them or not."""
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )


Stop: TypeAlias = Literal["end", "tool_use", "pause", "max_tokens", "refusal", "context_full"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model said, why it stopped, and what that took."""

    blocks: Sequence[Block]
    stop: Stop
    usage: Usage
    why: str = ""
    """What the provider says of a refusal."""

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def uses(self) -> Sequence[ToolUse]:
        return [block for block in self.blocks if isinstance(block, ToolUse)]


class Busy(Exception):
    """The model cannot be asked now: overloaded, too many requests, no connection, or the stream was cut."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(Exception):
    """The model will not answer this, now or later: a request it cannot read."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Unusable(Rejected):
    """The model will answer nobody here, whatever is asked: the key, its name or its address is wrong."""


class Model(Protocol):
    """A model of some provider."""

    @property
    def name(self) -> str:
        """Such as `claude-opus-5-5`."""
        ...

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
        """Ask for the next turn. `hear` gets the text as it comes.

        In the `last` turn no tool may be asked for. The answer has at most `most_tokens`, and never more than the
        provider's setting allows. A conversation that the model has no more room for is a turn that says so.

        Raises:
            Busy: ask again, after some time.
            Rejected: asking again would not help.
            Unusable: nor would asking anything else, before somebody mends what is configured.
        """
        ...
