"""A real `mycelium workbench` process, and the SDK's client for it."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult, TextContent

from mycelium_workbench import Limits, Settings
from mycelium_workbench.server import build_server
from tests.support.processes import MYCELIUM, PATIENCE


class Workbench:
    """One client's connection. Every call is bounded."""

    def __init__(self, client: Client, root: Path, audit: Path) -> None:
        self.client = client
        self.root = root
        self._audit = audit

    async def call(self, tool: str, **arguments: object) -> CallToolResult:
        with anyio.fail_after(PATIENCE):
            return await self.client.call_tool(tool, arguments)

    async def ask(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The structured answer of a call that succeeds."""
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return cast("dict[str, Any]", result.structured_content)

    async def refused(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The error of a call that is refused; its text begins with the same."""
        result = await self.call(tool, **arguments)
        assert result.is_error, text_of(result)
        error = cast("dict[str, Any]", result.structured_content["error"])
        assert text_of(result).startswith(f"{error['code']}: {error['message']} {error['hint']}".rstrip())
        return error

    async def shell(self, command: str, **arguments: object) -> str:
        """What a command writes that ends by itself, whatever its exit code."""
        return str((await self.ask("run_command", command=command, **arguments))["output"])

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._audit.read_text().splitlines()]


def text_of(result: CallToolResult) -> str:
    said = result.content[0]
    assert isinstance(said, TextContent)
    return said.text


@asynccontextmanager
async def working(root: Path, limits: Limits | None = None, **settings: Any) -> AsyncGenerator[Workbench]:
    """The server in this process, for tests that need no other. What the tools start are processes all the same."""
    audit = root.parent / "audit.jsonl"
    server = build_server(Settings(root=root, audit=audit, limits=limits or Limits(), **settings))
    async with Client(server) as client:
        yield Workbench(client, root, audit)


@asynccontextmanager
async def serving(
    root: Path,
    *flags: str,
    mode: str = "auto",
    before: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    audit: Path | None = None,
) -> AsyncGenerator[Workbench]:
    """A server on `root`, started through the command `before` if there is one."""
    audit = audit or root.parent / "audit.jsonl"
    words = [*before, MYCELIUM, "workbench", "--root", str(root), "--audit", str(audit), *flags]
    parameters = StdioServerParameters(command=words[0], args=words[1:], env=dict(env or {}))
    async with Client(parameters, mode=mode) as client:
        yield Workbench(client, root, audit)
