"""One server: kept running, asked for its tools, and called."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final, cast

import anyio
from mcp import Client
from mcp.client import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    EmptyResult,
    Implementation,
    PingRequest,
    Tool,
    ToolListChangedNotification,
)
from pydantic import JsonValue

from mycelium_worker.servers.call import ask
from mycelium_worker.servers.listing import LIST_SECONDS, ToolList
from mycelium_worker.servers.replies import failed
from mycelium_worker.servers.spec import ServerSpec
from mycelium_worker.servers.wires import NOT_SENT, Unreachable, Wire, open_wire
from mycelium_worker.toolbox import Reply

log = logging.getLogger("mycelium.worker.servers")

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds before a server is started again: the first time, and at most."""
RESTART_PATIENCE: Final = 10.0
"""Seconds that a call waits for a server that is being started."""
PING_SECONDS: Final = 5.0
"""How long a server that took too long for a call may take for saying that it lives; else it is stuck."""
_UNKNOWN: Final = "unknown tool"
"""How servers of the SDK answer a call of what is not there; others answer with an error."""
US: Final = Implementation(name="mycelium-worker", version="0")


@dataclass(frozen=True, slots=True)
class _Up:
    """A server that answers."""

    client: Client
    wire: Wire


class Link:
    """Keeps one server running from `run` on, until `stop`."""

    def __init__(self, server: ServerSpec, *, start_seconds: float) -> None:
        self.server = server
        self._start_seconds = start_seconds
        self._up: _Up | None = None
        self._changed = anyio.Event()
        """Set and replaced whenever the server comes up or goes down."""
        self._tried = anyio.Event()
        self._over = anyio.Event()
        self._why_down = "is being started"
        self._told = ""
        """Why it was down when that was last logged."""
        self._failures = 0
        self._list = ToolList(server.name)

    @property
    def name(self) -> str:
        return self.server.name

    async def run(self) -> None:
        """Start the server, and start it again whenever it ends."""
        while not self._over.is_set():
            why = await self._once()
            if self._over.is_set():
                return
            self._failures += 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._failures - 1)) * random.uniform(0.5, 1)
            again = why == self._told and self._failures > 1
            self._told = why
            self._go_down(why)
            log.log(
                logging.DEBUG if again else logging.WARNING,
                "server %s %s; it is started again in %.1f s", self.name, why, pause,
            )  # fmt: skip
            with anyio.move_on_after(pause):
                await self._over.wait()

    def stop(self) -> None:
        """Let `run` end the server and return."""
        self._over.set()
        self._restart("is being ended")

    async def tools(self, patience: float = math.inf) -> Sequence[Tool]:
        """What it offers now; nothing while it is down. `patience` are seconds for its first start."""
        with anyio.move_on_after(min(self._start_seconds, patience)):
            await self._tried.wait()
        if (up := self._up) is not None and not self._list.is_fresh:
            try:
                await self._list.refresh(up.client)
            except TimeoutError:
                await self._took_too_long(up, "tools/list", LIST_SECONDS)
        return self._list.tools if self._up is not None else ()

    @property
    def why_down(self) -> str | None:
        """Why it is down, if it is: the end of a sentence that begins with it."""
        return None if self._up is not None else self._why_down

    @property
    def is_starting(self) -> bool:
        """Whether it has neither answered nor been given up since it was first started."""
        return not self._tried.is_set()

    @property
    def known(self) -> Sequence[Tool]:
        """What it offered when it was last asked."""
        return self._list.tools

    async def call(self, tool: str, arguments: Mapping[str, JsonValue], seconds: float) -> Reply | None:
        """Call one of its tools by its own name; None where it has none such any more. Raises only cancellation."""
        up = await self._running(min(seconds, RESTART_PATIENCE))
        if up is None:
            said = f"The server {self.name!r} {self._why_down}. Its tools are not there until it runs again."
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
        return self._list.is_fresh and self._up is not None and not any(each.name == tool for each in tools)

    async def _asked(self, up: _Up, tool: str, arguments: Mapping[str, JsonValue]) -> Reply:
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
        self._failures = 0
        return reply

    def _is_lost(self, up: _Up, error: MCPError) -> bool:
        if error.message == "Session terminated" or error.message.startswith("SSE stream ended"):
            self._end(up, f"lost the connection: {error.message}")
        return up.wire.end.has_come

    def _lost(self, up: _Up, *, sent: bool = True) -> Reply:
        if not sent:
            said = f"The server {self.name!r} {up.wire.end.why}. Nothing was called; it is tried again."
            return failed(said, again=True)
        return failed(
            f"The server {self.name!r} {up.wire.end.why} while this call was under way, and is started again. "
            "The call may have happened, in part or whole: look before you repeat it.",
            again=True,
        )

    async def _took_too_long(self, up: _Up, tool: str, seconds: float) -> Reply:
        more = ""
        if not await self._lives(up):
            more = f" The server {self.name!r} does not answer at all any more, and is started again."
            self._end(up, f"did not answer a ping within {PING_SECONDS:g} seconds")
        return failed(
            f"The call of {tool!r} took longer than {seconds:g} seconds and was cancelled.{more} "
            "It may have happened, in part or whole: look before you repeat it, and ask for less at once."
        )

    async def _lives(self, up: _Up) -> bool:
        """Whether it answers anything at all, a refusal as well. The stateless era has no ping, but others ask that."""
        ping = PingRequest()
        with anyio.move_on_after(PING_SECONDS):
            try:
                await up.client.session.send_request(ping, EmptyResult)
            except Exception:  # the boundary to what servers answer and the SDK makes of it
                log.debug("server %s: a ping was refused", self.name, exc_info=True)
            return True
        return False

    async def _once(self) -> str:
        """Run it once, and say why it ended."""
        try:
            async with open_wire(self.server) as wire:
                return await self._served(wire)
        except Unreachable as error:
            return str(error)
        except Exception as error:  # the boundary to what the SDK raises while it connects or leaves
            log.debug("server %s: its connection failed", self.name, exc_info=True)
            return f"failed: {_said(error)}"

    async def _served(self, wire: Wire) -> str:
        why = f"did not answer within {self._start_seconds:g} seconds of its start"
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._start_seconds) as starting:
                async with Client(
                    nullcontext(wire.streams), message_handler=self._heard, client_info=US, cache=None
                ) as client:
                    starting.deadline = math.inf
                    await self._serve(_Up(client, wire))
                    why = wire.end.why
        except Exception as error:
            if not wire.end.has_come:
                raise
            log.debug("server %s: its connection ended", self.name, exc_info=error)
        return wire.end.why or why

    async def _serve(self, up: _Up) -> None:
        if self._over.is_set():
            return
        self._go_up(up)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, up.client)
            await up.wire.end.wait()
            self._go_down(up.wire.end.why)
            tasks.cancel_scope.cancel()

    async def _follow(self, client: Client) -> None:
        """Hear from a server of the stateless era when its tools change, if it tells."""
        try:
            async with client.listen(tools_list_changed=True) as news:
                self._list.tells_news = bool(news.honored.tools_list_changed)
                async for _ in news:
                    self._list.forget()
        except ListenNotSupportedError:
            capability = client.server_capabilities.tools
            self._list.tells_news = bool(capability and capability.list_changed)
            return
        except (MCPError, SubscriptionLost):
            log.debug("server %s tells no news", self.name)
        self._list.tells_news = False
        self._list.forget()

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._list.forget()

    async def _running(self, patience: float) -> _Up | None:
        with anyio.move_on_after(patience):
            while self._up is None and not self._over.is_set():
                await self._changed.wait()
        return self._up

    def _restart(self, why: str) -> None:
        if self._up is not None:
            self._end(self._up, why)

    def _end(self, up: _Up, why: str) -> None:
        up.wire.end.come(why)
        if self._up is up:
            self._go_down(why)

    def _go_up(self, up: _Up) -> None:
        self._up = up
        self._list.tells_news = False
        self._list.forget()
        self._tell_change()
        log.info("server %s is up", self.name)

    def _go_down(self, why: str) -> None:
        self._up = None
        self._why_down = why
        self._tell_change()

    def _tell_change(self) -> None:
        self._tried.set()
        self._changed.set()
        self._changed = anyio.Event()


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return (str(error) or type(error).__name__)[:500]
