"""The files that connect ready-made clients work as they are."""

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""


@pytest.mark.parametrize("file", ["claude_desktop_config.json", "client_examples/.mcp.json"])
async def test_the_server_of_a_client_file_starts_as_it_stands_there(file: str, tmp_path: Path) -> None:
    config = cast("dict[str, Any]", json.loads((ROOT / file).read_text()))
    (server,) = config["mcpServers"].values()
    # A person has `mycelium` on the path; the store must be this test's own, not that of whoever runs it.
    scripts = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "MYCELIUM_BACKEND": "memory:"}
    parameters = StdioServerParameters(**server, env=env, cwd=tmp_path)
    with anyio.fail_after(PATIENCE):
        async with Client(parameters) as client:
            tools = (await client.list_tools()).tools
    assert "create_task" in {tool.name for tool in tools}
    assert list(tmp_path.iterdir()) == []
