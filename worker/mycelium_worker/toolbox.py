"""The seam between whoever does a task and the tools for it, all of which come over MCP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that some MCP server offers."""

    name: str
    """What it is offered as: unlike all others, `[A-Za-z0-9_-]{1,64}`."""
    description: str
    input_schema: Mapping[str, JsonValue]
    server: str
    """The server's name in the MCP file."""
    own_name: str
    """What the server calls it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image in a reply."""

    media_type: str
    data: str
    """Base64."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a tool answered."""

    text: str
    structured: JsonValue = None
    """What it answered for programs, where it did."""
    pictures: Sequence[Picture] = ()
    is_error: bool = False
    again: bool = False
    """Whether the error lay with the server (it died, or could not be started), so that the same call may go well."""


class Toolbox(Protocol):
    """The tools of all servers. Safe for concurrent calls."""

    async def tools(self, *, soon: bool = False) -> Sequence[Tool]:
        """What there is now, by name. A server that is down has none, and is started again meanwhile.

        `soon` does without those that take long to start, as long as others are up: the next look may find them.
        """
        ...

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        """Call a tool, for at most this long (the worker's own limit unless given). It need not be in the list.

        Whatever goes wrong is a Reply with `is_error` that says what to do: no such tool (naming those that come
        near), its server died, it took too long, it said too much. Raises only cancellation.
        """
        ...
