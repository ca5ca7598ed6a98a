"""What agents pay for in context: how tools are listed."""

import json
from typing import Any

import pytest
from mcp_types import ListToolsResult

from mycelium_tools.core import CORE, INSTRUCTIONS
from mycelium_tools.profiles import ALL
from mycelium_tools.registry import Tool

NAMES = {
    "create_task", "get_task", "list_tasks", "claim_task", "update_task", "complete_task", "fail_task", "cancel_task",
    "set_agent_status", "get_agent_status", "list_agents", "publish_event", "read_events", "wait_for",
    "create_workflow", "get_workflow", "get_stats",
}  # fmt: skip
MORE = {
    "list_workflows", "update_workflow", "complete_workflow", "fail_workflow", "control_workflow",
    "create_trigger", "list_triggers", "set_trigger", "remove_trigger", "notify_user",
}  # fmt: skip
every_tool = pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)


def listed(tool: Tool) -> dict[str, Any]:
    return tool.listed.model_dump(by_alias=True, mode="json", exclude_none=True)


def test_core_profile_has_exactly_the_promised_tools() -> None:
    assert {tool.name for tool in CORE} == NAMES
    assert len(CORE) == len(NAMES)


def test_all_is_the_core_and_what_only_some_need() -> None:
    assert {tool.name for tool in ALL} == NAMES | MORE
    assert len(ALL) == len(NAMES | MORE)


def test_no_tool_says_yes_in_a_persons_place() -> None:
    assert not [tool.name for tool in ALL if "approve" in tool.name or "reject" in tool.name]
    assert not [name for tool in ALL for name in tool.arguments.model_fields if name in {"approved", "approve"}]


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
def test_a_schema_is_an_object_without_noise(tool: Tool) -> None:
    schema = listed(tool)["inputSchema"]
    assert schema["type"] == "object"
    assert set(schema) <= {"type", "properties", "required"}
    for name, field in schema["properties"].items():
        assert "type" in field, name
        assert "title" not in field, name
        assert "null" not in json.dumps(field), name


def test_what_must_be_given_is_marked() -> None:
    required = {tool.name: listed(tool)["inputSchema"].get("required", []) for tool in ALL}
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
        "update_workflow": ["workflow_id"],
        "complete_workflow": ["workflow_id"],
        "fail_workflow": ["workflow_id", "error"],
        "control_workflow": ["workflow_id", "action"],
        "create_trigger": ["when", "then"],
        "set_trigger": ["trigger_id", "active"],
        "remove_trigger": ["trigger_id"],
        "notify_user": ["user", "message"],
    }


def test_every_listed_argument_is_one_the_tool_takes() -> None:
    for tool in ALL:
        assert set(listed(tool)["inputSchema"]["properties"]) == set(tool.arguments.model_fields)
