"""One server: asked for its tools, and called."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, Tool
from pydantic import JsonValue

from mycelium_worker.servers.call import ask
from mycelium_worker.servers.kept import KeptServer, Up
from mycelium_worker.servers.listing import LIST_SECONDS, ToolList
from mycelium_worker.servers.replies import failed
from mycelium_worker.servers.spec import ServerSpec
from mycelium_worker.servers.wires import NOT_SENT
from mycelium_worker.toolbox import Reply

log = logging.getLogger("mycelium.worker.servers")

RESTART_PATIENCE: Final = 10.0
"""Seconds that a call waits for a server that is being started."""
_UNKNOWN: Final = "unknown tool"
"""How servers of the SDK answer a call of what is not there; others answer with an error."""


class Link:
    """The way to one server, which is there from `run` on, until `stop`."""

    def __init__(self, server: ServerSpec, *, start_seconds: float) -> None:
        self.name = server.name
        self.unlisted = server.unlisted
        self._list = ToolList(server.name)
        self._server = KeptServer(server, self._list, start_seconds=start_seconds)

    async def run(self) -> None:
        """Start the server, and start it again whenever it ends."""
        await self._server.run()

    def stop(self) -> None:
        """Let `run` end the server and return."""
        self._server.stop()

    async def tools(self, patience: float = math.inf) -> Sequence[Tool]:
        """What it offers now; nothing while it is down. `patience` are seconds for its first start."""
        up = await self._server.tried(patience)
        if up is not None and not self._list.is_fresh:
            try:
                await self._list.refresh(up.client)
            except TimeoutError:
                await self._took_too_long(up, "tools/list", LIST_SECONDS)
        return self._list.tools if self._server.up is not None else ()

    @property
    def why_down(self) -> str | None:
        """Why it is down, if it is: the end of a sentence that begins with it."""
        return None if self._server.up is not None else self._server.why_down

    @property
    def is_starting(self) -> bool:
        """Whether it has neither answered nor been given up since it was first started."""
        return self._server.is_starting

    @property
    def known(self) -> Sequence[Tool]:
        """What it offered when it was last asked."""
        return self._list.tools

    async def call(self, tool: str, arguments: Mapping[str, JsonValue], seconds: float) -> Reply | None:
        """Call one of its tools by its own name; None where it has none such any more. Raises only cancellation."""
        up = await self._server.running(min(seconds, RESTART_PATIENCE))
        if up is None:
            said = f"The server {self.name!r} {self._server.why_down}. Its tools are not there until it runs again."
            return failed(said, again=True)
        with anyio.move_on_after(seconds):
            if await self._lacks(tool):
                return None
            reply = await self._asked(up, tool, arguments)
            if reply.is_error and _UNKNOWN in reply.text.casefold():
                self._list.forget()
            return None if reply.is_error and await self._lacks(tool) else reply
        return await self._took_too_long(up, tool, seconds)

    async def _lacks(self, tool: str) -> bool:
        """Whether the server is known not to have it."""
        tools = await self.tools()
        return self._list.is_fresh and self._server.up is not None and not any(each.name == tool for each in tools)

    async def _asked(self, up: Up, tool: str, arguments: Mapping[str, JsonValue]) -> Reply:
        try:
            reply = await ask(up.client, tool, arguments)
        except MCPError as error:
            if self._is_lost(up, error):
                return self._lost(up, sent=error.data != NOT_SENT)
            if error.code in (INVALID_PARAMS, METHOD_NOT_FOUND):
                self._list.forget()
            return failed(f"The server {self.name!r} refused the call: {error.message} (code {error.code}).")
        except Exception as error:  # the boundary to what servers do and the SDK makes of it
            log.debug("server %s: a call of %s failed", self.name, tool, exc_info=True)
            if up.wire.end.has_come:
                return self._lost(up)
            return failed(f"The server {self.name!r} answered what cannot be read: {str(error)[:2000]}")
        self._server.does_well()
        return reply

    def _is_lost(self, up: Up, error: MCPError) -> bool:
        if error.message == "Session terminated" or error.message.startswith("SSE stream ended"):
            self._server.end(up, f"lost the connection: {error.message}")
        return up.wire.end.has_come

    def _lost(self, up: Up, *, sent: bool = True) -> Reply:
        if not sent:
            said = f"The server {self.name!r} {up.wire.end.why}. Nothing was called; it is tried again."
            return failed(said, again=True)
        return failed(
            f"The server {self.name!r} {up.wire.end.why} while this call was under way, and is started again. "
            "The call may have happened, in part or whole: look before you repeat it.",
            again=True,
        )

    async def _took_too_long(self, up: Up, tool: str, seconds: float) -> Reply:
        more = ""
        if not await self._server.lives(up):
            more = f" The server {self.name!r} does not answer at all any more, and is started again."
        return failed(
            f"The call of {tool!r} took longer than {seconds:g} seconds and was cancelled.{more} "
            "It may have happened, in part or whole: look before you repeat it, and ask for less at once."
        )
