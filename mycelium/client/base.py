"""What all verbs share: the backend, the agent they speak for, and the leases it holds."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TypeGuard, TypeVar, cast

from anyio.abc import TaskGroup

from mycelium import rules
from mycelium.backend import Backend, Clock
from mycelium.client.ids import new_name
from mycelium.client.leases import LeaseBook
from mycelium.errors import InvalidId, InvalidInput
from mycelium.models import Agent
from mycelium.models.base import HINTS, is_id
from mycelium.rules import Rule

T = TypeVar("T")

log = logging.getLogger("mycelium")
SEEN_EVERY = 60.0
"""Seconds between two notes in the store that an agent is alive; a third of its TTL where that is shorter."""


def system_clock() -> datetime:
    """The machine's time in UTC."""
    return datetime.now(UTC)


class Base:
    """The state of one open client. Made by `Mycelium.open`."""

    def __init__(self, backend: Backend, *, agent: str | None, clock: Clock, tasks: TaskGroup) -> None:
        self.backend = backend
        self.agent = new_name("agent") if agent is None else checked(agent)
        """The name this client works under unless a call says another."""
        self.leases = LeaseBook()
        self._clock = clock
        self._tasks = tasks
        self._unseen_from: dict[str, datetime] = {}
        self._known: dict[str, Agent] = {}
        """The agents that were seen here, as they were then."""

    @property
    def mode(self) -> str:
        """What kind of store this is, such as `memory` or `sqlite`."""
        return self.backend.mode

    def _token(self, task_id: str, given: object) -> int | None:
        """The lease token to use: the one given, else the one this client holds.

        Raises:
            InvalidInput: it is no whole number.
        """
        if given is not None and not is_whole(given):
            raise InvalidInput(
                "Invalid lease_token: it must be a whole number.",
                hint="Use the one that claim_task returned, or leave it out.",
                fields=["lease_token"],
            )
        return self.leases.token(task_id, given)

    async def _commit(self, rule: Rule[T]) -> T:
        return (await self.backend.commit(rule)).result

    async def see(self, agent: str | None = None) -> None:
        """Note that this agent is alive, at most once a minute; an agent is seen by its calls."""
        name = self.agent if agent is None else checked(agent)
        unseen_from = self._unseen_from.get(name)
        if unseen_from is None or unseen_from <= self._clock():
            self._saw(await self._commit(lambda view: rules.see_agent(view, name)))

    def _saw(self, agent: Agent) -> None:
        self._known[agent.name] = agent
        self._unseen_from[agent.name] = self._clock() + timedelta(seconds=min(SEEN_EVERY, agent.ttl / 3))


def checked(name: object) -> str:
    """The name itself.

    Raises:
        InvalidId: it is not one.
    """
    if is_id(name):
        return name
    shown = name[:140] if isinstance(name, str) else type(name).__name__
    raise InvalidId(f"{shown!r} is not a valid id.", hint=HINTS[InvalidId], id=shown)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, which callers may get wrong."""
    return isinstance(value, int) and not isinstance(value, bool)


def within(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    """Raises InvalidInput unless `value` is a number, whole if that is asked, and low <= value <= high."""
    number = is_whole(value) or (isinstance(value, float) and not whole)
    if not number or not low <= cast("float", value) <= high:
        raise InvalidInput(
            f"Invalid {name}: it must be a {'whole number' if whole else 'number'} from {low:g} to {high:g}.",
            hint="Correct it and call again; nothing was stored.",
            fields=[name],
        )
