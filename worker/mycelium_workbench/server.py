"""The six tools as an MCP server. It speaks both eras of the protocol, over whatever streams it is run on."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
)

from mycelium_workbench.audit import Audit
from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import InternalError, WorkbenchError
from mycelium_workbench.registry import Tool
from mycelium_workbench.reply import refusal
from mycelium_workbench.settings import Settings
from mycelium_workbench.tools import TOOLS

log = logging.getLogger("mycelium.workbench")

Context: TypeAlias = ServerRequestContext[Bench, Any]

INSTRUCTIONS: Final = (
    "Tools for working on one folder. Paths are relative to it, and nothing outside it can be read or written. "
    "Commands run without the network unless the workbench was started with it; the first one says what holds."
)
LISTING_KEEPS: Final = CacheHint(ttl_ms=3_600_000, scope="public")
"""The tools stay the same for as long as the server runs."""


def build_server(settings: Settings, *, version: str = "0") -> Server[Bench]:
    """An MCP server for one client's work on `settings.root`."""
    network = "on" if settings.network else "off"
    listed = [tool.listed(f"At most {settings.limits.seconds:g} s; network {network}") for tool in TOOLS]
    by_name = {tool.name: tool for tool in TOOLS}
    audit = Audit(settings.audit)

    async def list_tools(_context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "Invalid cursor: all tools are on the first page.")
        return ListToolsResult(tools=listed)

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        arguments = params.arguments or {}
        if params.name not in by_name:
            with audit.noting(params.name, arguments) as heard:
                heard.outcome = "unknown_tool"
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:100]}")
        return await _audited(audit, by_name[params.name], context.lifespan_context, arguments)

    @asynccontextmanager
    async def lifespan(_server: Server[Bench]) -> AsyncGenerator[Bench]:
        try:
            with Bench.open(settings) as bench:
                yield bench
        finally:
            audit.close()

    return Server(
        "mycelium-workbench",
        version=version,
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        cache_hints={"tools/list": LISTING_KEEPS},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _audited(audit: Audit, tool: Tool, bench: Bench, arguments: Mapping[str, Any]) -> CallToolResult:
    with audit.noting(tool.name, arguments) as heard:
        result = await _answer(tool, bench, arguments)
        heard.outcome, heard.bytes = _outcome(result), _size(result)
        return result


async def _answer(tool: Tool, bench: Bench, arguments: Mapping[str, Any]) -> CallToolResult:
    try:
        return (await tool.function(bench, **tool.checked(arguments))).result()
    except WorkbenchError as error:
        return refusal(error)
    except Exception as error:  # the boundary: one call that fails unexpectedly must not end the others
        log.exception("%s failed unexpectedly", tool.name)
        return refusal(
            InternalError(
                f"{tool.name} failed unexpectedly ({type(error).__name__}).",
                hint="The workbench's log says where.",
            )
        )


def _outcome(result: CallToolResult) -> str:
    said: Any = result.structured_content
    return str(said["error"]["code"]) if result.is_error else "ok"


def _size(result: CallToolResult) -> int:
    return sum(len(getattr(each, "text", "") or getattr(each, "data", "")) for each in result.content)
