"""The baseline: the SDK's own server with one tool that does nothing, on its own stdio transport."""

from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
async def noop() -> str:
    """Do nothing."""
    return "ok"


if __name__ == "__main__":
    server.run("stdio")
