"""The housekeeper's turn, and the store's time, which its record tells and by which all go."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from mycelium import rules
from mycelium.backend import Backend, Clock
from mycelium.client.base import log
from mycelium.client.clock import SharedClock
from mycelium.client.turn import Turn
from mycelium.models import HOUSE, Keeper
from mycelium.rules import Change

TOLERANCE: Final = timedelta(seconds=10)
"""Clocks that differ by less agree: what is told of the time may be some seconds old."""


class House(Turn):
    """What one client knows of the housekeeper."""

    def __init__(self, backend: Backend, agent: str, clock: Clock) -> None:
        super().__init__(backend, HOUSE, agent)
        self._clock = clock
        self._knows_the_time = False
        self.cursor = 0
        """The last event that triggers were asked about."""
        self.expired = 0
        """What time has ended here since that was last noted."""
        self.fired = 0
        """How often triggers have fired here since that was last noted."""

    async def _notice(self, keeper: Keeper, *, first: bool) -> None:
        """Go by the housekeeper's time, once it is sure that it has just said it."""
        if first or keeper.holder is None:
            return
        self._knows_the_time = True
        if abs(self._clock() - keeper.at) <= TOLERANCE or not isinstance(self._clock, SharedClock):
            return
        # A store that has a clock of its own does not go by this one, whatever it shows.
        ahead = (await self._backend.commit(lambda view: Change(view.now))).result - keeper.at
        if abs(ahead) > TOLERANCE:
            log.warning(
                "this clock is %.0f seconds %s the store's, and goes by that now: set the machine's time",
                abs(ahead.total_seconds()),
                "ahead of" if ahead > timedelta() else "behind",
            )
            self._clock.shift(-ahead)

    def _begin(self, keeper: Keeper, *, first: bool) -> None:
        self._knows_the_time = self._knows_the_time or first
        self.cursor, self.expired, self.fired = keeper.cursor, 0, 0

    async def beat(self) -> None:
        """Say that this client is there, and note what it did, when it is time to."""
        if self.beat_is_due() and not self.beaten(await self._tell(self._id)):
            log.info("another client keeps house now: this one was silent for too long")

    async def note(self) -> None:
        """Note what this client did without having been elected."""
        await self._tell(None)

    async def _tell(self, holder: str | None) -> Keeper | None:
        cursor, expired, fired = self.cursor, self.expired, self.fired
        committed = await self._backend.commit(
            lambda view: rules.keep_house(view, holder, cursor=cursor, expired=expired, fired=fired)
        )
        self.expired, self.fired = self.expired - expired, self.fired - fired
        return committed.result

    def may_end(self, seconds: float) -> bool:
        """Whether something that lives for so long can have been given up, if the time says so.

        Where this client cannot know whether its clock is right, it first waits for as long: what is alive shows it.
        """
        return self._knows_the_time or time.monotonic() - self._took_at >= seconds
