"""How messages get to MCP servers and back, with a bound on all that a server can do to whoever listens."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from mycelium_worker.servers.spec import ServerSpec, StdioServer
from mycelium_worker.servers.wires.http import http_wire
from mycelium_worker.servers.wires.stdio import stdio_wire
from mycelium_worker.servers.wires.wire import LARGEST, NOT_SENT, Unreachable, Wire

__all__ = ["LARGEST", "NOT_SENT", "Unreachable", "Wire", "open_wire"]


def open_wire(server: ServerSpec) -> AbstractAsyncContextManager[Wire]:
    """Start or reach a server; on leaving, end it if it was started here.

    Raises:
        Unreachable: it cannot be started.
    """
    return stdio_wire(server) if isinstance(server, StdioServer) else http_wire(server)
