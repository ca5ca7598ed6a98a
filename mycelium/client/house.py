"""The election of the one client that keeps house, told by nothing but whether its record goes on changing.

A machine's clock may be wrong, so no time in the record decides who is gone: a housekeeper is gone when its record has
stayed the same for some seconds of the watcher's own. What the times do tell is the store's time, by which all go.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Final

from mycelium import rules
from mycelium.backend import Backend, Clock
from mycelium.client.base import log
from mycelium.client.clock import SharedClock
from mycelium.models import HOUSE, Keeper
from mycelium.rules import Change

BEAT: Final = 2.0
"""Seconds between two signs of life."""
SILENCE: Final = 3 * BEAT
"""Seconds without one, after which the housekeeper is gone."""
TOLERANCE: Final = timedelta(seconds=10)
"""Clocks that differ by less agree: what is told of the time may be some seconds old."""


class House:
    """What one client knows of the election."""

    def __init__(self, backend: Backend, agent: str, clock: Clock) -> None:
        self._backend = backend
        self._agent = agent
        self._clock = clock
        self._id = f"{agent[:40]}-{secrets.token_hex(6)}"
        self._seen = -1
        self._seen_at = 0.0
        self._took_at = 0.0
        self._beat_at = 0.0
        self._knows_the_time = False
        self.mine = False
        """Whether this client keeps house."""
        self.cursor = 0
        """The last event that triggers were asked about."""
        self.expired = 0
        """What time has ended here since that was last noted."""
        self.fired = 0
        """How often triggers have fired here since that was last noted."""

    async def watch(self) -> None:
        """Look whether the housekeeper is there; if not, try to become it."""
        (keeper,) = await self._backend.get(Keeper, [HOUSE])
        now, version = time.monotonic(), keeper.version if keeper else 0
        if keeper is not None and version != self._seen:
            await self._notice(keeper, first=self._seen < 0)
            self._seen, self._seen_at = version, now
        if keeper is None or keeper.holder is None or now - self._seen_at >= SILENCE:
            await self._take(version)

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

    async def _take(self, version: int) -> None:
        committed = await self._backend.commit(
            lambda view: rules.take_house(view, self._id, agent=self._agent, seen=version)
        )
        if committed.result is None:
            return
        self.mine, self._took_at, self._beat_at = True, time.monotonic(), time.monotonic()
        self._knows_the_time = self._knows_the_time or version == 0
        self.cursor, self.expired, self.fired = committed.result.cursor, 0, 0

    async def beat(self) -> None:
        """Say that this client is there, and note what it did, when it is time to."""
        if time.monotonic() - self._beat_at < BEAT:
            return
        kept = await self._tell(self._id)
        self._beat_at = time.monotonic()
        if kept is None:
            self.mine, self._seen = False, -1
            log.warning("another client keeps house now: this one was silent for too long")

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

    async def leave(self) -> None:
        """Let another client keep house at once."""
        if self.mine:
            self.mine = False
            await self._backend.commit(lambda view: rules.leave_house(view, self._id))
