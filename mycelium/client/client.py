"""The client: all verbs in one object, and how it is opened and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, Self, cast

import anyio
from anyio.abc import TaskGroup

from mycelium.backend import Backend, Clock
from mycelium.client.agents import AgentVerbs
from mycelium.client.approvals import ApprovalVerbs
from mycelium.client.base import system_clock
from mycelium.client.batches import BatchVerbs
from mycelium.client.clock import SharedClock
from mycelium.client.firing import Firing
from mycelium.client.house import House
from mycelium.client.messages import MessageVerbs
from mycelium.client.meter import Meter
from mycelium.client.notifications import NotificationVerbs
from mycelium.client.pipeline import Pipeline
from mycelium.client.transfer import Transfer
from mycelium.client.triggers import TriggerVerbs
from mycelium.client.waiting import WaitVerbs
from mycelium.client.workflows import WorkflowVerbs
from mycelium.errors import UnknownBackend
from mycelium.models import HOUSE, Keeper, Stats
from mycelium.place import Chosen, scheme_of

if TYPE_CHECKING:
    from mycelium.client.connection import Connection

RELEASE_WITHIN: Final = 10.0
"""Seconds for giving leases back at the end; those that a stuck store keeps expire by themselves."""


class OpenBackend(Protocol):
    """What an entry point of the group `mycelium.backends` names: the function that opens such a URL."""

    async def __call__(self, url: str, clock: Clock) -> Backend: ...


class Mycelium(
    BatchVerbs,
    MessageVerbs,
    ApprovalVerbs,
    AgentVerbs,
    NotificationVerbs,
    WaitVerbs,
    WorkflowVerbs,
    TriggerVerbs,
    Transfer,
):
    """A store of tasks, agents, events and workflows that many agents share.

        async with Mycelium.open("sqlite:///team.db", agent="ada") as m:
            task = await m.create_task("review", payload={"pull_request": 7})

    Safe for any number of concurrent calls in one event loop.
    """

    def __init__(self, backend: Backend, *, agent: str | None, clock: Clock, tasks: TaskGroup) -> None:
        self._meter = Meter(backend)
        super().__init__(cast("Backend", self._meter), agent=agent, clock=clock, tasks=tasks)
        self._subscriptions = {}
        self._firing = Firing(self.backend)
        self.house = House(self.backend, self.agent, clock)
        self.elects = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str | Chosen = "auto",
        *,
        agent: str | None = None,
        clock: Clock = system_clock,
        background: bool = True,
    ) -> AsyncGenerator[Self]:
        """Open the store at `url` for the time of this context; leases that are left at its end are released.

        `url` is one such as `sqlite:///path`, or `auto` for the project's own store, or the name of a mode such as
        `redis` for that one where the configuration says it is, or a place that was chosen before. `agent` is the name
        to work under, one is made unless given. In the background, leases are renewed and what time brings is done;
        without `background`, call `renew_lease` and `housekeep`.

        Raises:
            UnknownBackend: nothing installed opens such a URL.
            StoreError: the store cannot be opened; the leaf says why.
        """
        clock = SharedClock(clock)
        backend = await (url.open(clock) if isinstance(url, Chosen) else open_backend(url, clock))
        try:
            async with cls.over(backend, agent=agent, clock=clock, background=background) as client:
                yield client
        finally:
            with anyio.CancelScope(shield=True):
                await backend.aclose()

    @staticmethod
    async def connect(
        url: str = "auto",
        *,
        agent: str | None = None,
        clock: Clock = system_clock,
        background: bool = True,
    ) -> Connection:
        """The same without a block: open until `await m.close()`, or until the event loop ends. Raises as `open` does.

        For programs that open in one place and close in another; prefer `open` wherever a block is possible.
        """
        from mycelium.client.connection import connect

        return await connect(url, agent=agent, clock=clock, background=background)

    @classmethod
    @asynccontextmanager
    async def over(
        cls,
        backend: Backend,
        *,
        agent: str | None = None,
        clock: Clock = system_clock,
        background: bool = True,
    ) -> AsyncGenerator[Self]:
        """The same on a backend that is open already and stays open."""
        try:
            async with anyio.create_task_group() as tasks:
                client = cls(backend, agent=agent, clock=clock, tasks=tasks)
                client.elects = background
                if background:
                    tasks.start_soon(client.keep_house)
                    tasks.start_soon(client.keep_leases)
                try:
                    yield client
                finally:
                    tasks.cancel_scope.cancel()
                    with anyio.move_on_after(RELEASE_WITHIN, shield=True):
                        await client.release_leases()
                        await client.leave_house()
        except BaseExceptionGroup as group:
            # The task group wraps what the user's own block raises; they want to catch what they raised.
            alone, *others = group.exceptions
            if others:
                raise
            raise alone from alone.__cause__

    def pipeline(self, *, return_errors: bool = False) -> Pipeline:
        """Collect calls, then make them in one round trip: see `Pipeline`."""
        return Pipeline(self, return_errors=return_errors)

    async def get_stats(self) -> Stats:
        """Counts of what the store holds, which store it is, who keeps house, and how long this client's calls took."""
        latency = self._meter.average  # of the calls before this one
        (keeper,) = await self.backend.get(Keeper, [HOUSE])
        return replace(await self.backend.stats(), avg_latency=latency, housekeeper=keeper)


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
