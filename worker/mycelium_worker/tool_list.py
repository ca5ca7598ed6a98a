"""The list of a server's tools, all pages of it, without those that no model could be offered."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import SchemaError
from jsonschema.validators import validator_for
from mcp import Client
from mcp_types import Tool as ServerTool

log = logging.getLogger("mycelium.worker.servers")

MOST_PAGES: Final = 100
MOST_TOOLS: Final = 1000
LARGEST_SCHEMA: Final = 128 * 1024
"""Characters of JSON."""
LONGEST_DESCRIPTION: Final = 16 * 1024
MOST_TOLD: Final = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """The tools, and for how many seconds the server wants that to be true."""

    tools: Sequence[ServerTool]
    seconds: float


class ToolLists:
    """Asks one server for its tools, and says once what is wrong with some of them."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._told: set[str] = set()

    async def ask(self, client: Client) -> Listed:
        """Raises whatever the SDK's client does."""
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
        return Listed(list(tools.values())[:MOST_TOOLS], seconds)

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
