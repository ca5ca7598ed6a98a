"""The verbs for agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from mycelium import rules
from mycelium.client.base import Base, checked, within
from mycelium.errors import NotFound
from mycelium.models import (
    DEFAULT_TTL,
    Agent,
    AgentQuery,
    AgentReport,
    AgentStatus,
    Page,
    TaskQuery,
    validated,
)
from mycelium.models.base import Cursor, Model


class AgentFilter(Model):
    """For checking what is asked for from outside."""

    status: AgentStatus | None
    cursor: Cursor | None


class AgentVerbs(Base):
    """Say and see who is there."""

    async def store_agent_status(
        self,
        agent: str | None = None,
        status: AgentStatus = "idle",
        *,
        active_tasks: Sequence[str] = (),
        capabilities: Sequence[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        ttl: float = DEFAULT_TTL,
    ) -> Agent:
        """Take down what an agent (this client's, unless named) says of itself; replaces what it said before.

        Without any call for `ttl` seconds it counts as offline.
        """
        name = self.agent if agent is None else checked(agent)
        report = validated(
            AgentReport,
            status=status,
            active_tasks=active_tasks,
            capabilities=capabilities,
            metadata={} if metadata is None else metadata,
            ttl=ttl,
        )
        agent_now = await self._commit(lambda view: rules.report_agent(view, name, report))
        self._saw(agent_now)
        return agent_now

    async def get_agent_status(self, agent: str | None = None) -> Agent:
        """What is known of an agent. `active_tasks` also has the tasks it holds leases on; with any it is busy.

        Raises:
            NotFound, InvalidId
        """
        name = self.agent if agent is None else checked(agent)
        (found,) = await self.backend.get(Agent, [name])
        if found is None:
            raise NotFound("agent", name)
        return await self._with_leases(found)

    async def list_agents(
        self, *, status: AgentStatus | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[Agent]:
        """One page of the agents, by name. `limit` is 1 to 1000. `status` is what they said last."""
        within("limit", limit, 1, 1000, whole=True)
        said = validated(AgentFilter, status=status, cursor=cursor)
        page = await self.backend.find(AgentQuery(status=said.status, limit=limit, cursor=said.cursor))
        return Page([await self._with_leases(agent) for agent in page.records], page.cursor)

    async def remove_agent_status(self, agent: str | None = None) -> None:
        """Forget an agent.

        Raises:
            NotFound, InvalidId
        """
        name = self.agent if agent is None else checked(agent)
        self._unseen_from.pop(name, None)
        await self._commit(lambda view: rules.remove_agent(view, name))

    async def leave(self, agent: str | None = None) -> None:
        """Say that an agent is gone: offline, if it was known."""
        name = self.agent if agent is None else checked(agent)
        self._unseen_from.pop(name, None)
        await self._commit(lambda view: rules.leave_agent(view, name))

    async def _with_leases(self, agent: Agent) -> Agent:
        held = await self.backend.find(TaskQuery(held_by=agent.name, limit=100))
        tasks = tuple(dict.fromkeys([*agent.active_tasks, *(task.id for task in held.records)]))
        status = "busy" if held.records and agent.status == "idle" else agent.status
        return agent.model_copy(update={"active_tasks": tasks, "status": status})
