"""The seam between a worker and wherever its tasks come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mycelium.models import Task


class Job(Protocol):
    """A task that was claimed for this worker, and whatever brought it."""

    @property
    def task(self) -> Task:
        """The task with its lease, which the worker's client holds and renews."""
        ...

    async def settle(self) -> None:
        """Forget what brought the task: its outcome is in the store by now, or it was given back there.

        Never raises: what cannot be forgotten comes again, and is then seen to be done.
        """
        ...

    async def give_back(self) -> None:
        """Hand back what brought the task, unsettled: the store does not know what came of it. Never raises."""
        ...


class Source(Protocol):
    """Brings tasks, one claim at a time. Safe for any number of concurrent `take`s."""

    @property
    def name(self) -> str:
        """What it is, in a word for logs and `list_agents`: `store`, `rabbitmq`."""
        ...

    async def ready(self) -> None:
        """Return when there may be something to take. Only a hint; cancelled without loss."""
        ...

    async def take(self) -> Job | None:
        """Claim the next task; None when there is none for now. Whoever is cancelled here holds nothing.

        What it raises is logged, and it is asked again after a pause.
        """
        ...

    async def drain(self) -> None:
        """Bring nothing more from now on: what was fetched and not taken goes back to where it was."""
        ...

    @property
    def empty(self) -> bool:
        """Whether nothing was there at the last look, as far as it can know. For `--until-empty`."""
        ...

    @property
    def connected(self) -> bool:
        """Whether it can be reached, as far as it knows. For those who look after the worker."""
        ...

    @property
    def buried(self) -> Mapping[str, int]:
        """How many times it brought what nobody can act on, by reason: it lies with the dead letters now."""
        ...
