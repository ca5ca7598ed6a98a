"""The official Inspector against Mycelium's own server, in both protocol eras."""

import sys
from pathlib import Path
from typing import Literal

import pytest

from tests.server.test_serve import SERVE
from tests.support.inspector import OK, TOOL_ERROR, Inspector

pytestmark = pytest.mark.anyio
Era = Literal["legacy", "modern"]
both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


def server(folder: Path) -> list[str]:
    return [sys.executable, *SERVE, f"sqlite:///{folder}/team.db", "--agent", "ada"]


@both_eras
async def test_inspector_finds_nothing_to_blame_in_the_tools(inspector: Inspector, tmp_path: Path, era: Era) -> None:
    listed = await inspector.list_tools(server(tmp_path), era=era)
    assert (listed.code, listed.findings) == (OK, [])
    assert len(listed.result["tools"]) == 17


@both_eras
async def test_inspector_creates_a_task_and_is_refused_another(inspector: Inspector, tmp_path: Path, era: Era) -> None:
    created = await inspector.call_tool(server(tmp_path), "create_task", {"type": "review"}, era=era)
    assert created.code == OK
    assert created.result["structuredContent"]["task"]["created_by"] == "ada"
    refused = await inspector.call_tool(server(tmp_path), "get_task", {"task_id": "t-none"}, era=era)
    assert refused.code == TOOL_ERROR
    assert refused.result["structuredContent"]["error"]["code"] == "not_found"
