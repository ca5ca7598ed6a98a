"""The MCP servers whose tools a worker offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    unlisted: frozenset[str] = frozenset()
    """Tools that can be called but are in no list: what a model is told of, it reads again with every turn."""


@dataclass(frozen=True, slots=True)
class StdioServer(_Offer):
    """A server that is started here and spoken to over its pipes."""

    name: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What it gets beside PATH, HOME and the like; nothing else of the worker's environment."""
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class HttpServer(_Offer):
    """A server that runs elsewhere and speaks streamable HTTP."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


ServerSpec: TypeAlias = StdioServer | HttpServer

COORDINATION = "coordination"
WORKBENCH = "workbench"


@dataclass(frozen=True, slots=True)
class Bench:
    """The workbench that a worker starts."""

    root: Path
    """The folder that is worked in."""
    hidden: Sequence[Path] = ()
    """What of it no tool may see."""
    audit: Path | None = None
    """The file that gets the lines of each call."""

    @property
    def flags(self) -> tuple[str, ...]:
        """For the command."""
        hidden = (word for each in self.hidden for word in ("--hide", str(each)))
        audit = () if self.audit is None else ("--audit", str(self.audit))
        return ("--root", str(self.root), *hidden, *audit)


def default_servers(
    server_command: str, *, backend: str, agent: str, bench: Bench, unlisted: Iterable[str] = ()
) -> tuple[ServerSpec, ...]:
    """What is offered where no file says otherwise: the team's store as this agent, and a folder.

    Of the store there are all tools, so that tasks can call any; models are not told of those that are `unlisted`. Its
    URL travels in the environment, since any user of the machine may read a command line.
    """
    return (
        StdioServer(
            COORDINATION,
            server_command,
            ("serve", "--tools", "all", "--agent", agent),
            {"MYCELIUM_BACKEND": backend},
            unlisted=frozenset(unlisted),
        ),
        StdioServer(WORKBENCH, server_command, ("workbench", *bench.flags)),
    )
