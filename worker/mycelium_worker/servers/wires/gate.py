"""What a server says, before the SDK's client hears it: nothing that nobody asked for piles up there.

The client makes a task for every notification and every request that a server sends, and refuses a whole list of tools
for one that is broken. So only what is expected passes: answers to what was asked, a few requests at once, and the news
that tools have changed.
"""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, Tool
from pydantic import ValidationError

from mycelium_worker.servers.wires.allowance import Allowance
from mycelium_worker.servers.wires.wire import LARGEST

log = logging.getLogger("mycelium.worker.servers")

MOST_REQUESTS: Final = 32
"""Requests of a server that are not answered yet; more are dropped."""
LEAST_COST: Final = LARGEST // 8192
"""What the smallest message counts, in bytes: so 8,192 of them within a second."""
NEEDED: Final = ("name", "title", "description", "inputSchema")
"""Of a tool. Without its output's schema, a reply that does not fit that can still be read."""
HEARD: Final = frozenset({"notifications/tools/list_changed", "notifications/subscriptions/acknowledged"})


class Gate:
    """Lets pass what is expected from a server, and the rest at the rate of `LARGEST` bytes a second at most."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._asked: dict[str, str] = {}
        self._unanswered = 0
        self._allowance = Allowance(LARGEST)
        self._told: set[str] = set()

    def leaving(self, message: SessionMessage) -> None:
        """Take note of what is said to the server."""
        said = message.message
        if isinstance(said, JSONRPCRequest):
            self._asked[str(said.id)] = said.method
        elif isinstance(said, JSONRPCNotification):
            if said.method == "notifications/cancelled":
                self._asked.pop(str((said.params or {}).get("requestId")), None)
        else:
            self._unanswered -= 1

    async def arriving(self, message: SessionMessage, size: int) -> bool:
        """Whether this passes. Waits where the server says too much."""
        said = message.message
        if isinstance(said, JSONRPCResponse | JSONRPCError):
            method = self._asked.pop(str(said.id), None)
            if method == "tools/list" and isinstance(said, JSONRPCResponse):
                self._leave_out_broken(said.result)
            if method is not None:
                return True
        await self.unwanted(size)
        if isinstance(said, JSONRPCRequest):
            return self._may_ask()
        return isinstance(said, JSONRPCNotification) and said.method in HEARD

    async def unwanted(self, size: int) -> None:
        """Count what nobody asked for. Waits where it is too much."""
        await self._allowance.take(max(size, LEAST_COST))

    def _may_ask(self) -> bool:
        if self._unanswered >= MOST_REQUESTS:
            return False
        self._unanswered += 1
        return True

    def _leave_out_broken(self, result: dict[str, Any]) -> None:
        tools: object = result.get("tools")
        if isinstance(tools, list):
            result["tools"] = [kept for each in cast("list[object]", tools) if (kept := self._kept(each))]

    def _kept(self, value: object) -> dict[str, Any] | None:
        """What is needed of a tool; None where it is none."""
        tool = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        kept = {key: tool[key] for key in NEEDED if tool.get(key) is not None}
        try:
            Tool.model_validate(kept, by_name=False)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        else:
            if kept["inputSchema"].get("type") == "object":
                return kept
            problem = "its input is not an object"
        self._tell(f"tool {str(tool.get('name'))[:64]!r}: {problem}")
        return None

    def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < 100:
            self._told.add(what)
            log.warning("server %s: %s; it is left out", self._server, what)
