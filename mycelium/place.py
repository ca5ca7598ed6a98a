"""A store seen from outside: where it is, whether it is there, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, cast, runtime_checkable

from mycelium.backend import Backend, Clock

Level: TypeAlias = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` says what to do where it is not ok."""

    subject: str
    says: str
    level: Level = "ok"
    mend: str = ""


class Place(Protocol):
    """Where a store is or would be. Nothing here opens, changes or makes one."""

    @property
    def url(self) -> str:
        """The store itself, as one would open it; `auto` has become the URL it stands for."""
        ...

    @property
    def reason(self) -> str:
        """Why it is this one."""
        ...

    @property
    def tried(self) -> Sequence[str]:
        """What was passed over before, and why."""
        ...

    def exists(self) -> bool:
        """Whether there is a store.

        Raises:
            StoreError: that cannot be found out.
        """
        ...

    def examine(self) -> list[Finding]:
        """Look at everything that can be wrong. Blocks, and may read the whole store."""
        ...


class NamedPlace:
    """What places have in common that a URL names by itself, so that there was nothing to choose."""

    __slots__ = ()

    @property
    def reason(self) -> str:
        return "you named it"

    @property
    def tried(self) -> Sequence[str]:
        return ()


@runtime_checkable
class Chosen(Protocol):
    """A place that took time to choose, which opening it here does not take again."""

    async def open(self, clock: Clock) -> Backend:
        """Open the store there. Says first, where people see it, what was passed over; so do its counts.

        Raises:
            StoreError: it cannot be opened.
        """
        ...


class FindPlace(Protocol):
    """What an entry point of the group `mycelium.places` names."""

    def __call__(self, url: str) -> Place: ...


def scheme_of(url: str) -> str:
    """What the URL begins with, which says who opens it. A word alone is the name of a mode, which `auto` knows."""
    scheme, colon, _ = url.partition(":")
    return scheme if colon else "auto"


def mode_of(place: Place) -> str:
    """What kind of store it is, in the word that its client's `mode` has."""
    form = place.url.partition(":")[0].partition("+")[0]
    return "redis" if form == "rediss" else form


def place_at(url: str) -> Place | None:
    """The place that a URL names; None for backends that have none, such as memory.

    Raises:
        InvalidConfig, StoreError: there is no store that this URL could stand for.
    """
    from importlib.metadata import entry_points

    found = entry_points(group="mycelium.places", name=scheme_of(url))
    return next((cast("FindPlace", each.load())(url) for each in found), None)
