"""The tools of several MCP servers as one toolbox."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Final

import anyio
from anyio.abc import TaskGroup
from mcp_types import Tool as ServerTool
from pydantic import JsonValue

from mycelium_worker.servers.link import Link
from mycelium_worker.servers.listing import LONGEST_DESCRIPTION
from mycelium_worker.servers.names import ToolNames
from mycelium_worker.servers.replies import failed
from mycelium_worker.servers.spec import ServerSpec
from mycelium_worker.toolbox import Reply, Tool, Toolbox

CLOSE_SECONDS: Final = 10.0
"""How long servers may take to end before they are left to the system."""
MOST_NAMED: Final = 30
SOON: Final = 10.0
"""Seconds after which those are no longer waited for who take long to start, if others are up."""
log = logging.getLogger("mycelium.worker.servers")


@asynccontextmanager
async def open_toolbox(
    servers: Sequence[ServerSpec], *, tool_seconds: float = 120.0, start_seconds: float = 30.0
) -> AsyncGenerator[Toolbox]:
    """The tools of these servers, which start together when they are first asked for, and end with this.

    `tool_seconds` bounds a call that says nothing else, `start_seconds` the wait for a server to answer at all.
    """
    raised: Exception | None = None
    async with anyio.create_task_group() as tasks:
        pool = _Pool(servers, tasks, tool_seconds=tool_seconds, start_seconds=start_seconds)
        try:
            yield pool
        except Exception as error:  # noqa: BLE001  the caller's own, which should not come back in a group
            raised = error
        finally:
            pool.stop()
            with anyio.move_on_after(CLOSE_SECONDS):
                await pool.ended()
            tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised


class _Pool(Toolbox):
    """Servers by name, each with a task of its own."""

    def __init__(
        self, servers: Sequence[ServerSpec], tasks: TaskGroup, *, tool_seconds: float, start_seconds: float
    ) -> None:
        self._links = {server.name: Link(server, start_seconds=start_seconds) for server in servers}
        self._tasks = tasks
        self._tool_seconds = tool_seconds
        self._names = ToolNames()
        self._began: float | None = None
        self._late: set[str] = set()
        """Servers that were not waited for, of which the log was told."""
        self._running = 0
        self._nothing_runs = anyio.Event()

    async def tools(self, *, soon: bool = False) -> Sequence[Tool]:
        there = await self._all_tools(soon=soon)
        return [tool for tool in there if tool.own_name not in self._links[tool.server].unlisted]

    async def _all_tools(self, *, soon: bool = False) -> Sequence[Tool]:
        """As `tools`, and those that are in no list."""
        began = self._start()
        patience = began + SOON - anyio.current_time() if soon else math.inf
        there = await self._ask_all(max(0.0, patience))
        if soon and all(link.why_down for link in self._links.values()):
            there = await self._ask_all(math.inf)
        if soon:
            self._tell_who_is_late()
        # Those of servers that are down count as well, or a name would change with who is up.
        known = [(link.name, tool.name) for link in self._links.values() for tool in link.known]
        names = self._names.given([*known, *((link.name, tool.name) for link, tool in there)])
        offered = [_offered(names[link.name, tool.name], link.name, tool) for link, tool in there]
        return sorted(offered, key=lambda tool: tool.name)

    async def _ask_all(self, patience: float) -> Sequence[tuple[Link, ServerTool]]:
        """What all offer, each of which is given so many seconds for its first start."""
        there: list[tuple[Link, ServerTool]] = []

        async def ask(link: Link) -> None:
            there.extend([(link, tool) for tool in await link.tools(patience)])

        async with anyio.create_task_group() as asking:
            for link in self._links.values():
                asking.start_soon(ask, link)
        return there

    def _tell_who_is_late(self) -> None:
        for name in [link.name for link in self._links.values() if link.is_starting and link.name not in self._late]:
            self._late.add(name)
            log.warning("server %s has not answered yet: its tools are not waited for any longer", name)

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        self._start()
        own = self._names.meant(name)
        for soon in (True, False):
            if own is None:
                await self._all_tools(soon=soon)
                own = self._names.meant(name)
        if own is not None:
            reply = await self._links[own[0]].call(
                own[1], arguments, self._tool_seconds if seconds is None else seconds
            )
            if reply is not None:
                return reply
        tools = await self._all_tools()
        down = [f"The server {link.name!r} {link.why_down}." for link in self._links.values() if link.why_down]
        return failed(" ".join([_no_such_tool(name, tools), *down]), again=bool(down))

    def stop(self) -> None:
        """End all servers, side by side; `ended` returns when they are."""
        for link in self._links.values():
            link.stop()

    async def ended(self) -> None:
        if self._running:
            await self._nothing_runs.wait()

    def _start(self) -> float:
        """Start the servers, if nobody has; when that was."""
        if self._began is None:
            self._began = anyio.current_time()
            for link in self._links.values():
                self._running += 1
                self._tasks.start_soon(self._run, link)
        return self._began

    async def _run(self, link: Link) -> None:
        try:
            await link.run()
        finally:
            self._running -= 1
            if not self._running:
                self._nothing_runs.set()


def _offered(name: str, server: str, tool: ServerTool) -> Tool:
    return Tool(
        name=name,
        description=(tool.description or tool.title or "")[:LONGEST_DESCRIPTION],
        input_schema=tool.input_schema,
        server=server,
        own_name=tool.name,
    )


def _no_such_tool(name: str, tools: Sequence[Tool]) -> str:
    names = [tool.name for tool in tools]
    near = get_close_matches(name, names, n=3) or [each for each in names if each.endswith(f"__{name}")]
    if near:
        return f"There is no tool {name[:100]!r} now. Did you mean {' or '.join(near)}?"
    some = ", ".join(names[:MOST_NAMED]) or "none at all"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"There is no tool {name[:100]!r} now. There are: {some}{more}."
