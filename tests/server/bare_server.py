"""A server on the bare SDK, for tests of the transport alone. Run it as a script."""

import os
import resource
import subprocess
import sys

import anyio
from mcp.server import Server, ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from mycelium_server.stdio import stdio_streams

BIG = "x" * 1_000_000


async def list_tools(_ctx: ServerRequestContext[object], _params: PaginatedRequestParams | None) -> ListToolsResult:
    names = ("echo", "chatter", "wait", "big", "peak", "started", "refuse")
    text = True if "--unportable" in sys.argv else {"type": "string"}
    schema = {"type": "object", "properties": {"text": text}}
    return ListToolsResult(tools=[Tool(name=name, input_schema=schema) for name in names])


async def call_tool(_ctx: ServerRequestContext[object], params: CallToolRequestParams) -> CallToolResult:
    text = str((params.arguments or {}).get("text", ""))
    match params.name:
        case "chatter":
            chatter()
        case "wait":
            await anyio.sleep(float(text))
        case "big":
            text = BIG
        case "peak":
            text = str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        case "started":
            text = " ".join([*sys.argv[1:], os.environ.get("MYCELIUM_AGENT", "")])
        case "echo":
            pass
        case _:
            return CallToolResult(content=[TextContent(text=f"{params.name} refused")], is_error=True)
    return CallToolResult(content=[TextContent(text=text)])


def chatter() -> None:
    """Write to stdout in the three ways that libraries and their children do."""
    print("stray print")  # noqa: T201 - the offence under test
    os.write(1, b"stray write\n")
    subprocess.run(["/bin/echo", "stray child"], check=True)


async def serve() -> None:
    server = Server[object]("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_streams() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


if __name__ == "__main__":
    before = os.fstat(0).st_ino, os.fstat(1).st_ino
    anyio.run(serve)
    if "--sign-off" in sys.argv:
        after = os.fstat(0).st_ino, os.fstat(1).st_ino
        print("restored", before == after, os.get_blocking(0), os.get_blocking(1))  # noqa: T201 - stdout is ours again
