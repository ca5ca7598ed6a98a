"""Bad input over the protocol: a stable code, what is wrong, what to do; nothing is stored, and serving goes on."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, MCPError

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium_backends.memory import MemoryBackend
from mycelium_server.assembly.server import build_server
from mycelium_tools.core import CORE
from tests.support.connection import Connection, connect

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture
async def ada() -> Any:
    async with connect(MemoryBackend(system_clock), "ada") as connection:
        yield connection


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("get_task", {"task_id": "t-none"}, "not_found"),
        ("claim_task", {"task_id": "t-none"}, "not_found"),
        ("complete_task", {"task_id": "t-none"}, "not_found"),
        ("cancel_task", {"task_id": "t-none"}, "not_found"),
        ("get_workflow", {"workflow_id": "w-none"}, "not_found"),
        ("get_agent_status", {"agent": "nobody"}, "not_found"),
        ("get_task", {"task_id": "../../etc/passwd"}, "invalid_id"),
        ("get_task", {"task_id": ".hidden"}, "invalid_id"),
        ("get_task", {"task_id": ""}, "invalid_id"),
        ("get_task", {"task_id": "x" * 1_000_000}, "invalid_id"),
        ("claim_task", {"agent": "a/b"}, "invalid_id"),
        ("create_task", {"type": "t", "assigned_to": "a b"}, "invalid_id"),
        ("create_task", {"type": ""}, "invalid_input"),
        ("create_task", {"type": "two\nlines"}, "invalid_input"),
        ("create_task", {"type": "t", "depends_on": ["t-none"]}, "unknown_dependency"),
        ("create_task", {"type": "t", "max_attempts": -1}, "invalid_input"),
        ("create_task", {"type": "t", "timeout_seconds": -1}, "invalid_input"),
        ("create_task", {"type": "t", "payload": {"text": "x" * 1_048_576}}, "too_large"),
        ("create_task", {"type": "t", "payload": '{"n": NaN}'}, "invalid_input"),
        ("create_task", {"type": "t", "unknown": 1}, "invalid_input"),
        ("create_task", {}, "invalid_input"),
        ("claim_task", {"lease_seconds": 0}, "invalid_input"),
        ("list_tasks", {"limit": -1}, "invalid_input"),
        ("list_tasks", {"limit": 0}, "invalid_input"),
        ("list_tasks", {"cursor": "no such"}, "invalid_cursor"),
        ("list_tasks", {"cursor": "z" * 100_000}, "invalid_input"),
        ("list_tasks", {"status": "done"}, "invalid_input"),
        ("list_agents", {"cursor": "no such"}, "invalid_cursor"),
        ("read_events", {"after": -1}, "invalid_cursor"),
        ("read_events", {"after": 1_000_000}, "invalid_cursor"),
        ("read_events", {"channels": ["a/b"]}, "invalid_id"),
        ("read_events", {"wait_seconds": -1}, "invalid_input"),
        ("publish_event", {"channel": "tasks:events", "type": "task.completed"}, "invalid_input"),
        ("set_agent_status", {"ttl": -5}, "invalid_input"),
        ("create_workflow", {"type": "w", "tasks": ["a", "a"]}, "invalid_input"),
        ("create_workflow", {"type": "w", "tasks": [{"type": "nameless"}]}, "invalid_input"),
        (
            "create_workflow",
            {"type": "w", "tasks": [{"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}]},
            "dependency_cycle",
        ),
    ],
)
async def test_bad_input_is_refused_with_its_code(
    ada: Connection, tool: str, arguments: dict[str, object], code: str
) -> None:
    refused = await ada.refused(tool, **arguments)
    assert refused["code"] == code
    assert len(refused["message"]) < 1100
    assert refused["hint"]
    stats = await ada.ask("get_stats")
    assert (stats["tasks"], stats["workflows"]) == ({}, {})


async def test_what_is_not_found_is_looked_for_with_tools_that_there_are(ada: Connection) -> None:
    names = {tool.name for tool in CORE}
    for refused in (
        await ada.refused("get_task", task_id="t-none"),
        await ada.refused("get_workflow", workflow_id="w-none"),
        await ada.refused("get_agent_status", agent="nobody"),
    ):
        named = re.findall(r"\b(?:list|create)_\w+", refused["hint"])
        assert named
        assert set(named) <= names


async def test_an_illegal_transition_names_the_status(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="t"))["task_id"]
    early = await ada.refused("complete_task", task_id=task_id)
    assert (early["code"], early["status"]) == ("illegal_transition", "pending")
    await ada.ask("cancel_task", task_id=task_id)
    late = await ada.refused("claim_task", task_id=task_id)
    assert (late["code"], late["status"]) == ("illegal_transition", "cancelled")


@both_eras
async def test_an_unknown_tool_is_a_protocol_error(mode: str) -> None:
    async with connect(MemoryBackend(system_clock), mode=mode) as ada:
        with pytest.raises(MCPError, match="Unknown tool: nope") as refused:
            await ada.call("nope")
        assert refused.value.code == -32602
        assert (await ada.ask("get_stats"))["mode"] == "memory"


@both_eras
async def test_a_cursor_that_the_listing_never_gave_is_a_protocol_error(mode: str) -> None:
    async with connect(MemoryBackend(system_clock), mode=mode) as ada:
        with pytest.raises(MCPError) as refused:
            await ada.client.list_tools(cursor="page-2")
        assert refused.value.code == -32602


class Broken(MemoryBackend):
    """A backend with a defect."""

    async def stats(self) -> Any:
        raise ZeroDivisionError("secret detail")


@both_eras
async def test_a_defect_is_an_internal_error_and_logged_in_full(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(Broken(system_clock), mode=mode) as ada:
        refused = await ada.refused("get_stats")
        assert (refused["code"], refused["message"]) == (
            "internal_error",
            "get_stats failed unexpectedly (ZeroDivisionError).",
        )
        assert (await ada.ask("create_task", type="t"))["task"]["status"] == "pending"
    assert "secret detail" in caplog.text


@both_eras
async def test_no_tool_lacks_the_session(mode: str) -> None:
    """Whatever is called first waits for the store, and is told if it cannot be opened."""

    @asynccontextmanager
    async def never() -> AsyncGenerator[Mycelium, None]:
        raise OSError("no disk")
        yield  # pragma: no cover

    async with Client(build_server(never), mode=mode) as client:
        required = {"type": "t", "task_id": "t-1", "error": "e", "channel": "c", "workflow_id": "w-1"}
        for tool in CORE:
            fields = {name: required[name] for name in tool.listed.input_schema.get("required", [])}
            result = await client.call_tool(tool.name, fields)
            assert result.structured_content["error"]["code"] == "internal_error"
