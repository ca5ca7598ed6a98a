"""What agents pay for in context: how tools are listed."""

import json
from typing import Any

import pytest
from mcp_types import ListToolsResult

from mycelium_tools.core import CORE, INSTRUCTIONS
from mycelium_tools.registry import Tool

NAMES = {
    "create_task", "get_task", "list_tasks", "claim_task", "update_task", "complete_task", "fail_task", "cancel_task",
    "set_agent_status", "get_agent_status", "list_agents", "publish_event", "read_events",
    "create_workflow", "get_workflow", "get_stats",
}  # fmt: skip
every_tool = pytest.mark.parametrize("tool", CORE, ids=lambda tool: tool.name)


def listed(tool: Tool) -> dict[str, Any]:
    return tool.listed.model_dump(by_alias=True, mode="json", exclude_none=True)


def test_core_profile_has_exactly_the_promised_tools() -> None:
    assert {tool.name for tool in CORE} == NAMES
    assert len(CORE) == len(NAMES)


def test_listing_stays_under_9000_characters_however_it_is_spaced() -> None:
    result = ListToolsResult(tools=[tool.listed for tool in CORE])
    assert len(json.dumps(result.model_dump(by_alias=True, mode="json", exclude_none=True))) < 9000


def test_instructions_are_few_words() -> None:
    assert len(INSTRUCTIONS) < 400


@every_tool
def test_a_tool_says_what_it_does_and_how_it_may_change_things(tool: Tool) -> None:
    said = listed(tool)
    assert 20 < len(said["description"]) < 250
    assert said["annotations"]["openWorldHint"] is False
    assert ("readOnlyHint" in said["annotations"]) != ("destructiveHint" in said["annotations"])
    assert "outputSchema" not in said


@every_tool
def test_a_schema_is_a_closed_object_without_noise(tool: Tool) -> None:
    schema = listed(tool)["inputSchema"]
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert set(schema) <= {"type", "properties", "required", "additionalProperties"}
    for name, field in schema["properties"].items():
        assert "type" in field, name
        assert "title" not in field, name
        assert "null" not in json.dumps(field), name


def test_what_must_be_given_is_marked() -> None:
    required = {tool.name: listed(tool)["inputSchema"].get("required", []) for tool in CORE}
    assert {name: fields for name, fields in required.items() if fields} == {
        "create_task": ["type"],
        "get_task": ["task_id"],
        "update_task": ["task_id"],
        "complete_task": ["task_id"],
        "fail_task": ["task_id", "error"],
        "cancel_task": ["task_id"],
        "publish_event": ["channel"],
        "create_workflow": ["type"],
        "get_workflow": ["workflow_id"],
    }


def test_every_listed_argument_is_one_the_tool_takes() -> None:
    for tool in CORE:
        assert set(listed(tool)["inputSchema"]["properties"]) == set(tool.arguments.model_fields)
