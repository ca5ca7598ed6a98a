"""The time that all clients of a store go by, also where their machines' clocks do not agree."""

from __future__ import annotations

from datetime import datetime, timedelta

from mycelium.backend import Clock


class SharedClock:
    """A clock that can be set by what another one says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta()

    def __call__(self) -> datetime:
        return self._clock() + self._offset

    def shift(self, by: timedelta) -> None:
        """Go by a time that is so much later."""
        self._offset += by
