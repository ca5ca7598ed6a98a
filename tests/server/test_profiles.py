"""Which tools a real server offers, as flag, variable and file have it."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mycelium_tools.profiles import ALL, CORE
from tests.support.connection import PATIENCE

PLAIN = {
    name: value for name, value in os.environ.items() if not name.startswith(("MYCELIUM_", "TASKQUEUE_", "REDIS_"))
}


async def offered(folder: Path, *args: str, **variables: str) -> set[str]:
    environment: Mapping[str, str] = {**PLAIN, **variables, "MYCELIUM_LOG": "CRITICAL"}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mycelium_server", "serve", *args], env=dict(environment), cwd=folder
    )
    with anyio.fail_after(3 * PATIENCE):
        async with Client(server) as client:
            return {tool.name for tool in (await client.list_tools()).tools}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".mycelium").mkdir()
    return tmp_path


def configure(project: Path, content: object) -> None:
    (project / ".mycelium" / "config.json").write_text(json.dumps(content))


CORE_NAMES = {tool.name for tool in CORE}
ALL_NAMES = {tool.name for tool in ALL}


async def test_the_core_is_offered_unless_somebody_wants_all(project: Path) -> None:
    assert await offered(project) == CORE_NAMES
    assert await offered(project, "--tools", "all") == ALL_NAMES
    assert await offered(project, "--backend", "memory:", MYCELIUM_TOOLS="all") == ALL_NAMES


async def test_the_file_may_want_all_and_the_flag_goes_over_it(project: Path) -> None:
    configure(project, {"tools": "all"})
    assert await offered(project) == ALL_NAMES
    assert await offered(project, "--tools", "core") == CORE_NAMES


async def test_a_wrong_file_is_told_with_the_first_call_and_keeps_no_tool_from_being_listed(project: Path) -> None:
    configure(project, {"tools": "some"})
    assert await offered(project) == CORE_NAMES
