"""Keepers: the one client that does a duty for all of a store, and how far it has got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field

from mycelium.models.base import Count, Id, Moment, Record

HOUSE: Final = "house"
"""The duty to do what time and events bring."""


class Keeper(Record):
    """Who does a duty. Its holder changes it every few seconds: that it changes is what shows that one is there."""

    kind: ClassVar[str] = "keeper"

    duty: Id = HOUSE
    holder: Annotated[str, Field(max_length=64)] | None = None
    """The client; None where the last one has laid it down."""
    agent: Id | None = None
    """The name that client works under."""
    since: Moment
    at: Moment
    """The holder's time when it last said that it is there."""
    cursor: Count = 0
    """The last event that was dealt with; of a housekeeper, that triggers were asked about."""
    cursors: Mapping[str, Count] = {}
    """The same for each part of a duty that goes its own pace."""
    received: tuple[str, ...] = ()
    """The ids of the messages that were taken in last, so that none of them is taken in twice."""
    expired: Count = 0
    """How many leases, waits and agents housekeepers have ended."""
    fired: Count = 0
    """How many times they have let a trigger fire."""

    @property
    def key(self) -> str:
        return self.duty
