"""Connections to Mycelium's server, as an agent's host makes them, without a process between."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from mcp import Client
from mcp_types import CallToolResult, TextContent

from mycelium import Mycelium
from mycelium.backend import Backend
from mycelium_server.assembly.server import build_server
from mycelium_tools.profiles import PROFILES, Profile

PATIENCE = 20.0  # seconds: a bound for a broken build, never reached otherwise


class Connection:
    """One agent's connection. Every call is bounded."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: object) -> CallToolResult:
        with anyio.fail_after(PATIENCE):
            return await self.client.call_tool(tool, arguments)

    async def ask(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The structured answer of a call that succeeds."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return cast("dict[str, Any]", result.structured_content)

    async def text(self, tool: str, **arguments: object) -> str:
        """The text of a call that succeeds."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return text_of(result)

    async def refused(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The error of a call that is refused; its text says the same."""
        result = await self.call(tool, **arguments)
        assert result.is_error
        error = cast("dict[str, Any]", result.structured_content["error"])
        assert text_of(result) == f"{error['code']}: {error['message']} {error['hint']}".rstrip()
        return error


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@asynccontextmanager
async def connect(
    backend: Backend, agent: str = "ada", *, mode: str = "legacy", profile: Profile = "core", **options: Any
) -> AsyncGenerator[Connection, None]:
    """Connect `agent` to this store; `mode` "legacy" is the handshake era, "auto" the stateless one.

    `options` are what the SDK's client takes, such as `elicitation_callback`.
    """
    server = build_server(lambda: Mycelium.over(backend, agent=agent), PROFILES[profile])
    async with Client(server, mode=mode, **options) as client:
        yield Connection(client)
