"""Who is there to do what messages ask for, as the store knows them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import Agent, AgentQuery, TaskSpec
from mycelium_messaging.errors import BadMessage

FRESH: Final = 1.0
"""Seconds for which what was read is good enough, as long as it says yes."""
PAGE: Final = 1000
ANY_TYPE: Final = "*"
"""Among the executors of a worker: it does tasks of all types."""


@dataclass(frozen=True, slots=True)
class Address:
    """Whom a task is for: one agent, or all that have these capabilities."""

    assigned_to: str | None = None
    capabilities: tuple[str, ...] = ()

    def on(self, spec: TaskSpec) -> TaskSpec:
        """The task as it is for them."""
        needed = tuple(dict.fromkeys((*spec.capabilities, *self.capabilities)))
        return spec.model_copy(update={"assigned_to": self.assigned_to, "capabilities": needed})


class Roster:
    """The agents, read anew once in a while, and before anybody is told that one is not there."""

    def __init__(self, m: Mycelium) -> None:
        self._m = m
        self._agents: Sequence[Agent] = ()
        self._read_at = float("-inf")

    async def addressing(self, names: Sequence[str]) -> dict[str, Address]:
        """For each of these, whom a task is for: the agent of that name, or whoever has it as a capability.

        Raises:
            BadMessage: one of them is neither.
        """
        found: dict[str, Address] = {}
        for name in names:
            address = self._address(name, await self._known()) or self._address(name, await self._read())
            if address is None:
                raise BadMessage("unknown_agent", f"there is no agent {name}, and none that has it as a capability")
            found[name] = address
        return found

    def _address(self, name: str, agents: Sequence[Agent]) -> Address | None:
        if any(agent.name == name for agent in agents):
            return Address(assigned_to=name)
        if any(name in agent.capabilities for agent in agents):
            return Address(capabilities=(name,))
        return None

    async def others_do(self, type: str, *, named: str | None = None) -> bool:
        """Whether somebody else does tasks of this type, now or when they are back; `named` is whom the task is for."""
        return self._do(type, named, await self._known()) or self._do(type, named, await self._read())

    def _do(self, type: str, named: str | None, agents: Sequence[Agent]) -> bool:
        return any(each.name != self._m.agent and _will_do(each, type, named) for each in agents)

    async def others_consume(self, type: str) -> bool:
        """Whether another worker that is there does such tasks that come as messages."""
        return any(
            _swarms(each) and _does(each, type)
            for each in await self._known()
            if each.name != self._m.agent and each.status != "offline"
        )

    async def _known(self) -> Sequence[Agent]:
        return self._agents if time.monotonic() - self._read_at < FRESH else await self._read()

    async def _read(self) -> Sequence[Agent]:
        agents: list[Agent] = []
        cursor: str | None = None
        while True:
            page = await self._m.backend.find(AgentQuery(limit=PAGE, cursor=cursor))
            agents += page.records
            if (cursor := page.cursor) is None:
                break
        self._agents, self._read_at = agents, time.monotonic()
        return agents


def _swarms(agent: Agent) -> bool:
    """Whether it is a worker that takes work from queues only."""
    return agent.metadata.get("swarm") is True


def _said(agent: Agent) -> list[JsonValue] | None:
    """The types of tasks that it does, if it says so."""
    types = agent.metadata.get("executors")
    return types if isinstance(types, list) else None


def _does(agent: Agent, type: str) -> bool:
    """Whether it does tasks of this type; whoever does not say what they do may do anything."""
    types = _said(agent)
    return types is None or type in types or ANY_TYPE in types


def _will_do(agent: Agent, type: str, named: str | None) -> bool:
    """Whether it does tasks of this type, now or when it is back.

    Who is away and never said what they do is counted on only where they are named: nearly every store has such.
    """
    if agent.status == "offline" and _said(agent) is None:
        return agent.name == named or named in agent.capabilities
    return _does(agent, type)
