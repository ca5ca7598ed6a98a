"""What a scripted model says, and what it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

Api: TypeAlias = Literal["messages", "chat"]


@dataclass(frozen=True)
class Say:
    """Text, sent in pieces."""

    text: str


@dataclass(frozen=True)
class Think:
    """Thought, with the signature by which the API knows it again. `redacted` thought is sealed."""

    text: str
    signature: str = "c2lnbmF0dXJl"
    redacted: bool = False


@dataclass(frozen=True)
class Use:
    """A call of a tool. Arguments that are a text are sent as they are, JSON or not."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str = ""


Part: TypeAlias = Say | Think | Use


@dataclass(frozen=True)
class Answer:
    """A streamed answer. `stop` is what the Messages API calls it: `tool_use` where tools are used, unless given.

    `breaks` after `whole` events (all but the last, unless given): the connection is `cut`, the stream ends `short`,
    `stall`s until the client leaves, goes on with `garbage`, or tells of an `overloaded_error`.
    """

    parts: Sequence[Part]
    stop: str | None = None
    usage: Mapping[str, int] = field(default_factory=lambda: {"input": 100, "output": 20})
    details: Mapping[str, Any] | None = None
    breaks: Literal["cut", "short", "stall", "garbage", "error"] | None = None
    whole: int | None = None
    hold: anyio.Event | None = None
    """Waited for behind the first piece of text."""

    @property
    def reason(self) -> str:
        return self.stop or ("tool_use" if any(isinstance(part, Use) for part in self.parts) else "end_turn")


@dataclass(frozen=True)
class Status:
    """An answer that is an error, or no answer of a model at all."""

    status: int
    type: str = "api_error"
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    page: str | None = None
    """HTML in place of the error."""


Step: TypeAlias = Answer | Status


@dataclass(frozen=True)
class Asked:
    """A request."""

    api: Api
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [message for message in self.body["messages"] if message["role"] != "system"]

    @property
    def turn(self) -> int:
        """How many turns the model has had in this conversation."""
        return sum(message["role"] == "assistant" for message in self.messages)

    @property
    def last(self) -> str:
        """The newest message, as JSON."""
        return json.dumps(self.messages[-1], ensure_ascii=False)

    @property
    def tools(self) -> list[str]:
        """The names of the tools on offer, none where none may be used."""
        choice = self.body.get("tool_choice")
        if choice in ({"type": "none"}, "none"):
            return []
        return [tool["function"]["name"] if self.api == "chat" else tool["name"] for tool in self.body.get("tools", [])]


Script: TypeAlias = Sequence[Step | Sequence[Step]] | Callable[[Asked], Step]
"""What is said in each turn of a conversation; several steps for one turn are for when it is asked for again, the
last of them from then on. Or whatever a function makes of a request."""
