"""One call of a tool, where nobody is there to answer a server's questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import anyio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import HEADER_MISMATCH, CallToolResult, ElicitRequest, InputRequest, InputRequiredResult
from pydantic import JsonValue

from mycelium_worker.servers.replies import failed, reply_of
from mycelium_worker.toolbox import Reply

PAUSE: Final = 0.25
"""Seconds before a server is asked again that wants to be."""

NOBODY: Final = (
    "Nobody is there to ask, so it was declined. Go another way, or say in the result what a person has to decide."
)
_ASKS: Final = "elicit"
"""In what servers say who find that they cannot ask."""


async def ask(client: Client, tool: str, arguments: Mapping[str, JsonValue]) -> Reply:
    """What the tool answers. Raises whatever the SDK's client does."""
    try:
        result = await _result(client, tool, arguments)
    except MCPError as error:
        if _ASKS in error.message.casefold():
            return failed(f"{error.message.rstrip('.')}. {NOBODY}")
        if error.code != HEADER_MISMATCH:
            raise
        await client.list_tools()  # its schema has changed, and with it what belongs into the headers
        result = await _result(client, tool, arguments)
    if isinstance(result, InputRequiredResult):
        asked = "; ".join(_question(each) for each in (result.input_requests or {}).values())
        return failed(f"The tool wants an answer first: {asked}. {NOBODY}")
    reply = reply_of(result)
    return failed(f"{reply.text}\n{NOBODY}") if reply.is_error and _ASKS in reply.text.casefold() else reply


async def _result(
    client: Client, tool: str, arguments: Mapping[str, JsonValue], state: str | None = None
) -> CallToolResult | InputRequiredResult:
    while True:
        result = await client.session.call_tool(
            tool, dict(arguments), request_state=state, allow_input_required=True, allow_claimed=False
        )
        if isinstance(result, CallToolResult) or result.input_requests:
            return result
        state = result.request_state
        await anyio.sleep(PAUSE)


def _question(request: InputRequest) -> str:
    return request.params.message if isinstance(request, ElicitRequest) else f"({request.method})"
