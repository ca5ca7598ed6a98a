"""A toolbox over a small MCP server in this process."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import Client
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import TextContent
from pydantic import JsonValue

from mycelium_worker.toolbox import Reply, Tool


def small_server() -> MCPServer:
    """Tools that count, shout, fail and hang, and an analyser that knows one word."""
    server = MCPServer("small")

    @server.tool()
    def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    @server.tool(structured_output=False)
    def shout(word: str) -> str:
        return f"{word.upper()}!"

    @server.tool()
    def fail() -> str:
        raise ToolError("the well is dry")

    @server.tool()
    async def hang() -> str:
        await anyio.sleep_forever()
        return ""

    @server.tool()
    def analyze_code(code: str, language: str = "python", analysis_type: str = "quality") -> dict[str, Any]:
        if language == "cobol":
            raise ToolError("nobody here reads that")
        lines = [number for number, line in enumerate(code.splitlines(), 1) if "eval" in line]
        finding = {"column": 1, "rule": "S307", "severity": "high", "message": "eval is evil"}
        return {
            "language": language,
            "analysis_type": analysis_type,
            "findings": [{"line": line, **finding} for line in lines],
            "counts": {"high": len(lines), "medium": 0, "low": 0},
            "tool": "small",
        }

    return server


class SmallToolbox:
    """The server's tools under other names, so that nobody mistakes one for the other."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.dead = False

    async def tools(self, *, soon: bool = False) -> Sequence[Tool]:
        listed = (await self._client.list_tools()).tools
        return [Tool(f"small_{each.name}", each.description or "", {}, "small", each.name) for each in listed]

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        if self.dead:
            return Reply("the server died", is_error=True, again=True)
        try:
            with anyio.fail_after(seconds or 30):
                said = await self._client.call_tool(name.removeprefix("small_"), dict(arguments))
        except TimeoutError:
            return Reply(f"{name} took too long", is_error=True)
        text = "".join(each.text for each in said.content if isinstance(each, TextContent))
        return Reply(text, structured=said.structured_content, is_error=bool(said.is_error))


@asynccontextmanager
async def small_toolbox(kind: type[SmallToolbox] = SmallToolbox) -> AsyncGenerator[SmallToolbox]:
    async with Client(small_server()) as client:
        yield kind(client)
