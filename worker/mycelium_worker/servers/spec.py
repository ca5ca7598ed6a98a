"""The MCP servers whose tools a worker offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class StdioServer:
    """A server that is started here and spoken to over its pipes."""

    name: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What it gets beside PATH, HOME and the like; nothing else of the worker's environment."""
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A server that runs elsewhere and speaks streamable HTTP."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


ServerSpec: TypeAlias = StdioServer | HttpServer

COORDINATION = "coordination"
WORKBENCH = "workbench"


def default_servers(server_command: str, *, backend: str, agent: str, root: Path) -> tuple[ServerSpec, ...]:
    """What is offered where no file says otherwise: the team's store as this agent, and this folder.

    The store's URL travels in the environment, since any user of the machine may read a command line.
    """
    return (
        StdioServer(COORDINATION, server_command, ("serve", "--agent", agent), {"MYCELIUM_BACKEND": backend}),
        StdioServer(WORKBENCH, server_command, ("workbench", "--root", str(root))),
    )
