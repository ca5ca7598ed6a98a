"""A server with tools that misbehave on request. `python odd.py [stdio | http PORT] [options]`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types import AudioContent, CallToolResult, ImageContent, ResourceLink, TextContent
from pydantic import BaseModel

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
news = InMemorySubscriptionBus()
server = MCPServer("odd", subscriptions=news)
gates: dict[str, anyio.Event] = {}


@server.tool()
async def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
async def environment() -> dict[str, str]:
    """All variables."""
    return dict(os.environ)


@server.tool()
async def nothing() -> CallToolResult:
    """A no-op."""
    return CallToolResult(content=[TextContent(type="text", text="ok")])


@server.tool()
async def meet(mine: str, other: str) -> str:
    """Returns only once the other call has come as well."""
    gates.setdefault(mine, anyio.Event()).set()
    await gates.setdefault(other, anyio.Event()).wait()
    return f"{mine} met {other}"


@server.tool()
async def hang(started: str, cancelled: str) -> str:
    """Never returns; leaves files when it was begun and cancelled."""
    Path(started).touch()
    try:
        await anyio.sleep_forever()
    finally:
        Path(cancelled).touch()
    return "never"


@server.tool()
async def freeze() -> str:
    """Hold the whole server up."""
    while True:
        time.sleep(0.05)  # noqa: ASYNC251  that is what is asked for


@server.tool()
async def die(code: int) -> str:
    """Gone at once."""
    os._exit(code)


@server.tool()
async def pid() -> int:
    """Whose process this is."""
    return os.getpid()


@server.tool()
async def long_reply(size: int) -> CallToolResult:
    """So many characters."""
    return CallToolResult(content=[TextContent(type="text", text="x" * size)])


@server.tool()
async def everything() -> CallToolResult:
    """Each kind of content."""
    return CallToolResult(
        content=[
            TextContent(type="text", text="one"),
            ImageContent(type="image", data=PIXEL, mime_type="image/png"),
            ImageContent(type="image", data="not base64!", mime_type="image/png"),
            AudioContent(type="audio", data=PIXEL, mime_type="audio/wav"),
            ResourceLink(type="resource_link", name="notes", uri="file:///notes.txt"),
            TextContent(type="text", text="two"),
        ],
        structured_content={"answer": 42},
    )


@server.tool()
async def only_structured() -> CallToolResult:
    """No text at all."""
    return CallToolResult(content=[], structured_content={"answer": 42, "why": None})


class Consent(BaseModel):
    """What a person says."""

    yes: bool


@server.tool()
async def wants_a_person(ctx: Context[Any]) -> str:
    """Ask whoever is there."""
    answer = await ctx.elicit("May I delete it all?", Consent)
    return answer.action


def ask_for_consent() -> Elicit[Consent]:
    return Elicit("May I delete it all?", Consent)


@server.tool()
async def needs_consent(consent: Annotated[Consent, Resolve(ask_for_consent)]) -> str:
    """Ask before it does anything, as servers of the stateless era do."""
    return f"consent: {consent.yes}"


@server.tool()
async def chatter(bytes_to_stderr: int) -> str:
    """Write to stderr."""
    sys.stderr.write("a line of words\n" * 3 + "y" * bytes_to_stderr)
    sys.stderr.flush()
    return "said"


@server.tool()
async def grow(ctx: Context[Any]) -> str:
    """Put a new tool into the place of `echo`, and tell."""

    async def shout(text: str) -> str:
        return text.upper()

    server.remove_tool("echo")
    server.add_tool(shout, description="Say it loudly.")
    await news.publish(ToolsListChanged())
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.tool()
async def vanish() -> str:
    """Take `echo` away, and tell nobody."""
    server.remove_tool("echo")
    return "vanished"


def main() -> None:
    if sys.argv[1:2] == ["http"]:
        server.run(transport="streamable-http", port=int(sys.argv[2]), stateless_http="stateless" in sys.argv)
    else:
        server.run()


if __name__ == "__main__":
    main()
