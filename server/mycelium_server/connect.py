"""How to connect an MCP client to a store."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from shlex import join
from typing import Any


def server_command() -> str:
    """The command that starts Mycelium from anywhere: the script beside this Python, else what the path offers."""
    beside = Path(sys.executable).with_name("mycelium")
    return str(beside) if beside.exists() else shutil.which("mycelium") or "mycelium"


def desktop_config(url: str) -> dict[str, Any]:
    """What goes into `claude_desktop_config.json`."""
    return {"mcpServers": {"mycelium": {"command": server_command(), "args": ["serve", "--backend", url]}}}


def connecting_lines(url: str) -> str:
    """What to tell a person who wants to connect Claude Desktop, Claude Code or the Inspector to this store."""
    command = [server_command(), "serve", "--backend", url]
    return "\n".join(
        [
            "Claude Desktop: put this into claude_desktop_config.json (Settings, Developer, Edit Config):",
            json.dumps(desktop_config(url), indent=2),
            "Claude Code:",
            f"  {join(['claude', 'mcp', 'add', 'mycelium', '--', *command])}",
            "MCP Inspector:",
            f"  {join(['npx', '@modelcontextprotocol/inspector', *command])}",
        ]
    )
