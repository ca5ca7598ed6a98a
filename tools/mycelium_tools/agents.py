"""Tools for presence. Structured content has the agent under `agent`, or `agents` and `cursor`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mycelium import Mycelium
from mycelium.models import DEFAULT_TTL, AgentStatus
from mycelium_tools.arguments import Number, Object, Texts, Whole
from mycelium_tools.lines import agent_line, compact
from mycelium_tools.paging import fitting, full_page
from mycelium_tools.records import agent_record
from mycelium_tools.registry import READS, SETS, tool
from mycelium_tools.reply import Reply


@tool(SETS)
async def set_agent_status(
    m: Mycelium,
    agent: Annotated[str | None, Field(description="Default: you")] = None,
    status: AgentStatus = "idle",
    active_tasks: Texts = [],  # noqa: B006  pydantic copies it for each call
    capabilities: Texts = [],  # noqa: B006  as above
    metadata: Object | None = None,
    ttl: Annotated[Number, Field(description="Silent seconds until offline")] = DEFAULT_TTL,
) -> Reply:
    """Tell others what you do and what you can. Replaces what you said before."""
    said = await m.store_agent_status(
        agent or None, status, active_tasks=active_tasks, capabilities=capabilities, metadata=metadata, ttl=ttl
    )
    return Reply(agent_line(said), {"agent": agent_record(said)})


@tool(READS)
async def get_agent_status(
    m: Mycelium, agent: Annotated[str | None, Field(description="Default: you")] = None
) -> Reply:
    """What an agent does, holds and can. Without agent: you, with your name."""
    found = await m.get_agent_status(agent or None)
    lines = [agent_line(found), f"seen: {found.last_updated:%Y-%m-%dT%H:%M:%SZ}", compact(found.metadata)]
    return Reply("\n".join(line for line in lines if line), {"agent": agent_record(found)})


@tool(READS)
async def list_agents(
    m: Mycelium, status: AgentStatus | None = None, limit: Whole = 50, cursor: str | None = None
) -> Reply:
    """Who is there and what they do."""
    page = await full_page(
        lambda number: m.list_agents(status=status, limit=number, cursor=cursor),
        limit,
        lambda agents: fitting(map(agent_record, agents)),
    )
    lines = [agent_line(agent) for agent in page.records] or ["No such agents."]
    data: dict[str, Any] = {"agents": [agent_record(agent) for agent in page.records]}
    if page.cursor:
        lines.append(f"more: cursor={page.cursor}")
        data["cursor"] = page.cursor
    return Reply("\n".join(lines), data)
