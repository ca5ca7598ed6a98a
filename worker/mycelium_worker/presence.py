"""The worker's agent, as others see it from start to end."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
from pydantic import JsonValue

from mycelium import Mycelium, MyceliumError, rules
from mycelium.client.base import system_clock
from mycelium.models import Agent
from mycelium.rules.health import may_try

log = logging.getLogger("mycelium.worker")

SEE_EVERY: Final = 2.0
"""Seconds between two looks at whether the agent counts as alive; the library writes it down about once a minute."""
SEE_AGAIN: Final = 10.0
"""Seconds until the next look after one that failed."""
LEAVE_WITHIN: Final = 2.0
"""Seconds for saying goodbye to the store."""


class Presence:
    """What the agent says of itself. Which tasks it works on, its leases say."""

    def __init__(self, client: Mycelium, capabilities: Sequence[str], metadata: Mapping[str, JsonValue]) -> None:
        self._client = client
        self._capabilities = tuple(capabilities)
        self._metadata = dict(metadata)
        self.connected = True
        """Whether the store could be reached at the last look."""
        self.resting = False
        """Whether the agent was in error at the last look, and gets no new work until it recovers."""

    async def come(self) -> None:
        """Say who is there and what it can do. Raises as `Mycelium.store_agent_status`."""
        await self._client.store_agent_status(status="idle", capabilities=self._capabilities, metadata=self._metadata)

    async def stay(self) -> None:
        """Remain known, without end, whatever others say of this agent, or the store forgets."""
        while True:
            try:
                await self._look()
                self.connected = True
            except MyceliumError as error:
                if self.connected:
                    log.warning("%s was not noted as alive: %s", self._client.agent, error)
                self.connected = False
            await anyio.sleep(SEE_EVERY if self.connected else SEE_AGAIN)

    async def _look(self) -> None:
        await self._client.see()
        (agent,) = await self._client.backend.get(Agent, [self._client.agent])
        self.resting = agent is not None and agent.status == "error" and not may_try(agent, system_clock())
        if agent is None or not set(self._capabilities) <= set(agent.capabilities):
            await self.come()
        elif agent.status == "offline":  # another worker of the same name has left
            await self._client.backend.commit(lambda view: rules.see_agent(view, self._client.agent))

    async def leave(self) -> None:
        """Say goodbye; a store that cannot hear it will notice."""
        with anyio.move_on_after(LEAVE_WITHIN, shield=True):
            try:
                await self._client.leave()
            except MyceliumError as error:
                log.info("leaving was not noted: %s", error)


@asynccontextmanager
async def present(
    client: Mycelium, capabilities: Sequence[str], metadata: Mapping[str, JsonValue]
) -> AsyncGenerator[Presence]:
    """The client's agent is there for the time of this context, and offline after it.

    Raises as `Mycelium.store_agent_status`.
    """
    presence = Presence(client, capabilities, metadata)
    await presence.come()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(presence.stay)
            yield presence
            tasks.cancel_scope.cancel()
    finally:
        await presence.leave()
