"""The boundary that every tool call crosses: whatever goes wrong inside comes out as an answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mcp_types import CallToolResult, InputRequiredResult

from mycelium import MyceliumError
from mycelium_server.asking import Person
from mycelium_server.session import Session
from mycelium_tools.agents import set_agent_status
from mycelium_tools.registry import Tool
from mycelium_tools.reply import refusal

log = logging.getLogger("mycelium.server")


class InternalError(MyceliumError):
    """Something that nobody expected. The log has it in full."""

    code = "internal_error"


async def answer(
    tool: Tool, session: Session, arguments: Mapping[str, Any], person: Person
) -> CallToolResult | InputRequiredResult:
    """Call the tool and give its reply, or the error that says what to do, or what its person is to be asked first."""
    try:
        checked = tool.checked(arguments)
        client = await session.client()
        if not _speaks_for_another(tool, checked):
            await session.see()
        if (question := await person.asked(client, tool, checked)) is not None:
            return question
        session.said_offline = _says_offline(tool, checked, client.agent)
        return (await tool.function(client, **checked)).result()
    except MyceliumError as error:
        return refusal(error)
    except Exception as error:  # the boundary: one call that fails unexpectedly must not end the others
        log.exception("%s failed unexpectedly", tool.name)
        return refusal(
            InternalError(
                f"{tool.name} failed unexpectedly ({type(error).__name__}).",
                hint="The server's log says where. Check what is stored before you call again.",
            )
        )


def _speaks_for_another(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    """Whether the call is another agent's than the connection's: the library sees that one by itself."""
    return not tool.hints.read_only_hint and arguments.get("agent") is not None


def _says_offline(tool: Tool, arguments: Mapping[str, Any], own_name: str) -> bool:
    said = tool is set_agent_status and arguments.get("status") == "offline"
    return said and arguments.get("agent", own_name) == own_name
