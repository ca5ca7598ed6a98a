"""The client: all verbs in one object, and how it is opened and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol, cast

import anyio
from anyio.abc import TaskGroup

from mycelium.backend import Backend, Clock
from mycelium.client.agents import AgentVerbs
from mycelium.client.base import system_clock
from mycelium.client.events import EventVerbs
from mycelium.client.transfer import Transfer
from mycelium.client.work import WorkVerbs
from mycelium.client.workflows import WorkflowVerbs
from mycelium.errors import UnknownBackend
from mycelium.models import Stats
from mycelium.place import scheme_of

RELEASE_WITHIN: Final = 10.0
"""Seconds for giving leases back at the end; those that a stuck store keeps expire by themselves."""


class OpenBackend(Protocol):
    """What an entry point of the group `mycelium.backends` names: the function that opens such a URL."""

    async def __call__(self, url: str, clock: Clock) -> Backend: ...


class Mycelium(WorkVerbs, AgentVerbs, EventVerbs, WorkflowVerbs, Transfer):
    """A store of tasks, agents, events and workflows that many agents share.

        async with Mycelium.open("sqlite:///team.db", agent="ada") as m:
            task = await m.create_task("review", payload={"pull_request": 7})

    Safe for any number of concurrent calls in one event loop.
    """

    def __init__(self, backend: Backend, *, agent: str | None, clock: Clock, tasks: TaskGroup) -> None:
        super().__init__(backend, agent=agent, clock=clock, tasks=tasks)
        self._subscriptions = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str = "auto",
        *,
        agent: str | None = None,
        clock: Clock = system_clock,
        background: bool = True,
    ) -> AsyncGenerator[Mycelium]:
        """Open the store at `url` for the time of this context; leases that are left at its end are released.

        `url` is one such as `sqlite:///path`, or `auto` for the project's own store, or the name of a mode such as
        `redis` for that one where the configuration says it is. `agent` is the name to work under,
        one is made unless given. In the background, leases are renewed and what time brings is done; without
        `background`, call `renew_lease` and `housekeep`.

        Raises:
            UnknownBackend: nothing installed opens such a URL.
            StoreError: the store cannot be opened; the leaf says why.
        """
        backend = await open_backend(url, clock)
        try:
            async with cls.over(backend, agent=agent, clock=clock, background=background) as client:
                yield client
        finally:
            with anyio.CancelScope(shield=True):
                await backend.aclose()

    @classmethod
    @asynccontextmanager
    async def over(
        cls,
        backend: Backend,
        *,
        agent: str | None = None,
        clock: Clock = system_clock,
        background: bool = True,
    ) -> AsyncGenerator[Mycelium]:
        """The same on a backend that is open already and stays open."""
        try:
            async with anyio.create_task_group() as tasks:
                client = cls(backend, agent=agent, clock=clock, tasks=tasks)
                if background:
                    tasks.start_soon(client.keep_house)
                    tasks.start_soon(client.keep_leases)
                try:
                    yield client
                finally:
                    tasks.cancel_scope.cancel()
                    with anyio.move_on_after(RELEASE_WITHIN, shield=True):
                        await client.release_leases()
        except BaseExceptionGroup as group:
            # The task group wraps what the user's own block raises; they want to catch what they raised.
            alone, *others = group.exceptions
            if others:
                raise
            raise alone from alone.__cause__

    async def get_stats(self) -> Stats:
        """Counts of what the store holds, and which store it is."""
        return await self.backend.stats()


async def open_backend(url: str, clock: Clock = system_clock) -> Backend:
    """Open whatever the URL's scheme stands for.

    Raises:
        UnknownBackend, or another StoreError of the backend.
    """
    return await backend_for(url)(url, clock)


def backend_for(url: str) -> OpenBackend:
    """The function that opens such URLs.

    Raises:
        UnknownBackend: nothing installed does.
    """
    from importlib.metadata import entry_points

    scheme = scheme_of(url)
    found = entry_points(group="mycelium.backends")
    if scheme not in found.names:
        raise UnknownBackend(
            f"No backend for {scheme!r}.",
            hint=f"Use one of: {', '.join(sorted(found.names))}. For a file: sqlite:///path/to/file.db.",
            scheme=scheme,
        )
    return cast("OpenBackend", found[scheme].load())
