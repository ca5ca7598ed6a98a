"""The official Inspector, in both protocol eras, against a real server process."""

import sys
from typing import Literal

import pytest

from tests.server.raw_client import BARE_SERVER
from tests.support.inspector import FAILED, OK, TOOL_ERROR, UNPORTABLE_SCHEMA, Inspector

SERVER = [sys.executable, str(BARE_SERVER)]
Era = Literal["legacy", "modern"]
both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@both_eras
async def test_inspector_lists_the_tools_and_finds_nothing_to_blame(inspector: Inspector, era: Era) -> None:
    listed = await inspector.list_tools(SERVER, era=era)
    assert (listed.code, listed.findings) == (OK, [])
    assert "echo" in [tool["name"] for tool in listed.result["tools"]]


@both_eras
async def test_inspector_calls_a_tool_in_the_era_it_was_told(inspector: Inspector, era: Era) -> None:
    called = await inspector.call_tool(SERVER, "echo", {"text": "a=b"}, era=era)
    assert called.code == OK
    assert called.result["content"] == [{"type": "text", "text": "a=b"}]
    # Only the stateless era names the server in every result.
    assert ("io.modelcontextprotocol/serverInfo" in called.result.get("_meta", {})) == (era == "modern")


@both_eras
async def test_inspector_passes_a_tools_error_on(inspector: Inspector, era: Era) -> None:
    called = await inspector.call_tool(SERVER, "refuse", {}, era=era)
    assert (called.code, called.error["code"]) == (TOOL_ERROR, "tool_is_error")
    assert called.result["content"] == [{"type": "text", "text": "refuse refused"}]


async def test_inspector_tells_a_dead_server_from_a_refusing_one(inspector: Inspector) -> None:
    listed = await inspector.list_tools([sys.executable, "-c", "raise SystemExit(3)"])
    assert (listed.code, listed.stdout) == (FAILED, "")


async def test_inspector_blames_a_schema_that_not_every_client_reads(inspector: Inspector) -> None:
    listed = await inspector.list_tools([*SERVER, "--unportable"])
    assert listed.code == UNPORTABLE_SCHEMA
    assert listed.findings[0]["toolName"] == "echo"


async def test_inspector_hands_the_environment_and_the_arguments_on(inspector: Inspector) -> None:
    called = await inspector.call_tool([*SERVER, "--flag"], "started", {}, env={"MYCELIUM_AGENT": "ada"})
    assert called.result["content"][0]["text"] == "--flag ada"
