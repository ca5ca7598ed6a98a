"""The list of a server's tools, all pages of it, without those that no model could be offered."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from typing import Any, Final

import anyio
from jsonschema import SchemaError
from jsonschema.validators import validator_for
from mcp import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import Tool as ServerTool

log = logging.getLogger("mycelium.worker.servers")

MOST_PAGES: Final = 100
MOST_TOOLS: Final = 1000
LARGEST_SCHEMA: Final = 128 * 1024
"""Characters of JSON."""
LONGEST_DESCRIPTION: Final = 16 * 1024
MOST_TOLD: Final = 100
LIST_SECONDS: Final = 10.0
OLDEST: Final = 300.0
"""Seconds after which a list is old whatever a server said, and a tenth of that if it tells no news."""


class ToolList:
    """What one server offers, as it said when it was last asked."""

    def __init__(self, server: str) -> None:
        self.tools: Sequence[ServerTool] = ()
        self.tells_news = False
        """Whether the server tells when its tools change."""
        self._server = server
        self._told: set[str] = set()
        self._good_until = -math.inf
        self._news = 0
        self._asking = anyio.Lock()

    @property
    def is_fresh(self) -> bool:
        return anyio.current_time() < self._good_until

    def forget(self) -> None:
        """It is old from now on, what is being asked for among it."""
        self._news += 1
        self._good_until = -math.inf

    async def follow(self, client: Client) -> None:
        """Hear from a server of the stateless era when its tools change, if it tells."""
        try:
            async with client.listen(tools_list_changed=True) as news:
                self.tells_news = bool(news.honored.tools_list_changed)
                async for _ in news:
                    self.forget()
        except ListenNotSupportedError:
            capability = client.server_capabilities.tools
            self.tells_news = bool(capability and capability.list_changed)
            return
        except (MCPError, SubscriptionLost):
            log.debug("server %s tells no news", self._server)
        self.tells_news = False
        self.forget()

    async def refresh(self, client: Client) -> None:
        """Ask the server, if nobody does so already. What it offered stays where it does not answer well.

        Raises:
            TimeoutError: it does not answer within `LIST_SECONDS`.
        """
        async with self._asking:
            if not self.is_fresh:
                with anyio.fail_after(LIST_SECONDS):
                    await self._ask(client)

    async def _ask(self, client: Client) -> None:
        news = self._news
        try:
            tools, seconds = await self._all_pages(client)
        except Exception as error:  # the boundary to what servers answer and the SDK makes of it
            log.warning("server %s: its tools cannot be listed: %s", self._server, str(error)[:500])
            log.debug("server %s: listing failed", self._server, exc_info=True)
            return
        self.tools = tools
        age = OLDEST if self.tells_news else min(OLDEST, max(seconds, OLDEST / 10))
        if news == self._news:
            self._good_until = anyio.current_time() + age

    async def _all_pages(self, client: Client) -> tuple[Sequence[ServerTool], float]:
        """The tools, and for how many seconds the server wants that to be true."""
        tools: dict[str, ServerTool] = {}
        cursor: str | None = None
        seen: set[str | None] = set()
        seconds = 0.0
        while cursor not in seen and len(seen) < MOST_PAGES and len(tools) < MOST_TOOLS:
            seen.add(cursor)
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                if self._is_fit(tool):
                    tools.setdefault(tool.name, tool)
            seconds = page.ttl_ms / 1000
            cursor = page.next_cursor
            if cursor is None:
                break
        return list(tools.values())[:MOST_TOOLS], seconds

    def _is_fit(self, tool: ServerTool) -> bool:
        problem = _problem_with(tool.input_schema) if tool.name else "it has no name"
        if problem:
            self._tell(f"tool {tool.name[:64]!r}: {problem}")
        return problem is None

    def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(what)
            log.warning("server %s: %s; it is left out", self._server, what)


def _problem_with(schema: dict[str, Any]) -> str | None:
    try:
        if len(json.dumps(schema)) > LARGEST_SCHEMA:
            return f"its input's schema has more than {LARGEST_SCHEMA // 1024} Ki characters"
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        return f"its input's schema is broken: {error.message[:200]}"
    except RecursionError:
        return "its input's schema is nested too deeply"
    return None
