"""A small MCP server, and a toolbox over the SDK's own client of it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
from mcp import Client, MCPError
from mcp.server.mcpserver import Image, MCPServer
from mcp_types import ImageContent, TextContent
from pydantic import JsonValue

from mycelium_worker.toolbox import Picture, Reply, Tool

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
"""The smallest picture there is."""


class Calls:
    """What the server's tools are asked, and what they wait for."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.inside = 0
        self.met = anyio.Event()
        self.never = anyio.Event()
        self.stopped = anyio.Event()


def small_server(calls: Calls) -> MCPServer:
    server = MCPServer("small")

    @server.tool()
    def add(a: int, b: int) -> int:
        """The sum."""
        calls.made.append(f"add {a} {b}")
        return a + b

    @server.tool()
    async def meet(name: str) -> str:
        """Return once another call is inside as well."""
        calls.inside += 1
        if calls.inside == 2:
            calls.met.set()
        await calls.met.wait()
        return f"{name} met another"

    @server.tool()
    async def hang() -> str:
        """Never return."""
        calls.made.append("hang")
        try:
            await calls.never.wait()
        finally:
            calls.stopped.set()
        return ""

    @server.tool()
    def look() -> Image:
        """A picture."""
        return Image(data=PIXEL, format="png")

    @server.tool()
    def long(characters: int) -> str:
        """A long text."""
        return "x" * characters

    return server


class SmallToolbox:
    """As the worker's own, over one server."""

    def __init__(self, client: Client, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    async def tools(self, *, soon: bool = False) -> Sequence[Tool]:
        return [
            Tool(tool.name, tool.description or "", tool.input_schema, "small", tool.name)
            for tool in sorted((await self._client.list_tools()).tools, key=lambda tool: tool.name)
        ]

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        try:
            with anyio.fail_after(seconds or self._seconds):
                result = await self._client.call_tool(name, dict(arguments))
        except TimeoutError:
            return Reply(f"{name} took too long.", is_error=True)
        except MCPError as error:
            return Reply(str(error), is_error=True)
        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        pictures = [Picture(part.mime_type, part.data) for part in result.content if isinstance(part, ImageContent)]
        return Reply(text, result.structured_content, pictures, is_error=bool(result.is_error))


@asynccontextmanager
async def small_toolbox(calls: Calls, *, seconds: float = 30) -> AsyncGenerator[SmallToolbox]:
    async with Client(small_server(calls)) as client:
        yield SmallToolbox(client, seconds)
