"""A server as a process or a connection: started, started again when it ends, and looked after meanwhile."""

from __future__ import annotations

import logging
import math
import random
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final, cast

import anyio
from mcp import Client
from mcp.client import IncomingMessage
from mcp_types import EmptyResult, Implementation, PingRequest, ToolListChangedNotification

from mycelium_worker.servers.listing import ToolList
from mycelium_worker.servers.spec import ServerSpec
from mycelium_worker.servers.wires import Unreachable, Wire, open_wire

log = logging.getLogger("mycelium.worker.servers")

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds before a server is started again: the first time, and at most."""
PING_SECONDS: Final = 5.0
"""How long a server that took too long for a call may take for saying that it lives; else it is stuck."""
US: Final = Implementation(name="mycelium-worker", version="0")


@dataclass(frozen=True, slots=True)
class Up:
    """A server that answers."""

    client: Client
    wire: Wire


class KeptServer:
    """One server, kept running from `run` on, until `stop`."""

    def __init__(self, server: ServerSpec, tools: ToolList, *, start_seconds: float) -> None:
        self.up: Up | None = None
        self.why_down = "is being started"
        """What it is or did, if it is down: the end of a sentence that begins with it."""
        self._server = server
        self._tools = tools
        self._start_seconds = start_seconds
        self._changed = anyio.Event()
        """Set and replaced whenever the server comes up or goes down."""
        self._tried = anyio.Event()
        self._over = anyio.Event()
        self._told = ""
        """Why it was down when that was last logged."""
        self._failures = 0

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
                "server %s %s; it is started again in %.1f s", self._server.name, why, pause,
            )  # fmt: skip
            with anyio.move_on_after(pause):
                await self._over.wait()

    def stop(self) -> None:
        """Let `run` end the server and return."""
        self._over.set()
        if self.up is not None:
            self.end(self.up, "is being ended")

    @property
    def is_starting(self) -> bool:
        """Whether it has neither answered nor been given up since it was first started."""
        return not self._tried.is_set()

    async def tried(self, patience: float) -> Up | None:
        """The server, once it was tried to start it, if it is there.

        Waits no longer than `patience` says, in seconds, and a start may take.
        """
        with anyio.move_on_after(min(self._start_seconds, patience)):
            await self._tried.wait()
        return self.up

    async def running(self, patience: float) -> Up | None:
        """The server, once it is there; None if it is not after so many seconds."""
        with anyio.move_on_after(patience):
            while self.up is None and not self._over.is_set():
                await self._changed.wait()
        return self.up

    def end(self, up: Up, why: str) -> None:
        """Have it ended, and started again."""
        up.wire.end.come(why)
        if self.up is up:
            self._go_down(why)

    async def lives(self, up: Up) -> bool:
        """Whether it answers anything at all; if it does not, it is ended, and started again."""
        if await self._answers_a_ping(up):
            return True
        self.end(up, f"did not answer a ping within {PING_SECONDS:g} seconds")
        return False

    async def _answers_a_ping(self, up: Up) -> bool:
        """With a refusal as well. The stateless era has no ping, but others ask that."""
        ping = PingRequest()
        with anyio.move_on_after(PING_SECONDS):
            try:
                await up.client.session.send_request(ping, EmptyResult)
            except Exception:  # the boundary to what servers answer and the SDK makes of it
                log.debug("server %s: a ping was refused", self._server.name, exc_info=True)
            return True
        return False

    def does_well(self) -> None:
        """It has given a good answer: the next pause, should it end, is a short one."""
        self._failures = 0

    async def _once(self) -> str:
        """Run it once, and say why it ended."""
        try:
            async with open_wire(self._server) as wire:
                return await self._served(wire)
        except Unreachable as error:
            return str(error)
        except Exception as error:  # the boundary to what the SDK raises while it connects or leaves
            log.debug("server %s: its connection failed", self._server.name, exc_info=True)
            return f"failed: {_said(error)}"

    async def _served(self, wire: Wire) -> str:
        why = f"did not answer within {self._start_seconds:g} seconds of its start"
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._start_seconds) as starting:
                async with Client(
                    nullcontext(wire.streams), message_handler=self._heard, client_info=US, cache=None
                ) as client:
                    starting.deadline = math.inf
                    await self._serve(Up(client, wire))
                    why = wire.end.why
        except Exception as error:
            if not wire.end.has_come:
                raise
            log.debug("server %s: its connection ended", self._server.name, exc_info=error)
        return wire.end.why or why

    async def _serve(self, up: Up) -> None:
        if self._over.is_set():
            return
        self._go_up(up)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tools.follow, up.client)
            await up.wire.end.wait()
            self._go_down(up.wire.end.why)
            tasks.cancel_scope.cancel()

    async def _heard(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._tools.forget()

    def _go_up(self, up: Up) -> None:
        self.up = up
        self._tools.tells_news = False
        self._tools.forget()
        self._tell_change()
        log.info("server %s is up", self._server.name)

    def _go_down(self, why: str) -> None:
        self.up = None
        self.why_down = why
        self._tell_change()

    def _tell_change(self) -> None:
        self._tried.set()
        self._changed.set()
        self._changed = anyio.Event()


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return (str(error) or type(error).__name__)[:500]
