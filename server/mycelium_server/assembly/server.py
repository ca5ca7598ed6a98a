"""A store, the tools and the SDK's server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
)

from mycelium import Mycelium
from mycelium.client.base import checked
from mycelium.client.ids import new_name
from mycelium_server.asking import Person
from mycelium_server.assembly.relay import relaying
from mycelium_server.calls import answer
from mycelium_server.session import Opener, Session, session, session_of
from mycelium_server.version import own_version
from mycelium_tools.core import CORE, INSTRUCTIONS
from mycelium_tools.registry import Tool

if TYPE_CHECKING:
    from mycelium.settings.network import RabbitMQ

Context: TypeAlias = ServerRequestContext[Session, Any]

LISTING_KEEPS = CacheHint(ttl_ms=3_600_000, scope="public")
"""The tools stay the same for as long as the server runs."""


def store_at(url: str, agent: str | None, rabbitmq: Callable[[], RabbitMQ] | None = None) -> Opener:
    """Opens the store at `url` for one connection, whose agent gets a name now unless it has one.

    With `rabbitmq`, which reads those settings, what the store's log tells is relayed to the broker they name.

    Raises:
        InvalidId: `agent` is not a name.
    """
    name = checked(agent) if agent else new_name("agent")

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Mycelium]:
        async with AsyncExitStack() as stack:
            m = await stack.enter_async_context(Mycelium.open(url, agent=name))
            if rabbitmq is not None:
                await stack.enter_async_context(relaying(m, rabbitmq))
            yield m

    return opened


def build_server(opener: Opener, tools: Sequence[Tool] = CORE) -> Server[Session]:
    """An MCP server for one connection to the store that `opener` opens. Speaks both eras of the protocol."""
    by_name = {tool.name: tool for tool in tools}

    async def list_tools(_context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "Invalid cursor: all tools are on the first page.")
        return ListToolsResult(tools=[tool.listed for tool in tools])

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        if params.name not in by_name:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:100]}")
        person = Person(context, params)
        return await answer(by_name[params.name], session_of(context), params.arguments or {}, person)

    def lifespan(_server: Server[Session]) -> AbstractAsyncContextManager[Session]:
        return session(opener)

    return Server(
        "mycelium",
        version=own_version(),
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        cache_hints={"tools/list": LISTING_KEEPS},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
