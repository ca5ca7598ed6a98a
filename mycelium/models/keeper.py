"""The housekeeper: the one client that does what time and events bring, for all of a store."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from mycelium.models.base import Count, Id, Moment, Record

HOUSE: Final = "house"
"""The key of the only record of its kind."""


class Keeper(Record):
    """Who keeps house. Its holder changes it every few seconds: that it changes is what shows that one is there."""

    kind: ClassVar[str] = "keeper"

    holder: Annotated[str, Field(max_length=64)] | None = None
    """The client; None where the last one has laid it down."""
    agent: Id | None = None
    """The name that client works under."""
    since: Moment
    at: Moment
    """The holder's time when it last said that it is there."""
    cursor: Count = 0
    """The last event that triggers were asked about."""
    expired: Count = 0
    """How many leases, waits and agents it and those before it have ended."""
    fired: Count = 0
    """How many times they have let a trigger fire."""

    @property
    def key(self) -> str:
        return HOUSE
