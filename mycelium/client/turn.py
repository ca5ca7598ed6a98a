"""The election of the one client that does a duty, told by nothing but whether its record goes on changing.

A machine's clock may be wrong, so no time in the record decides who is gone: a keeper is gone when its record has
stayed the same for some seconds of the watcher's own.
"""

from __future__ import annotations

import secrets
import time
from typing import Final

from mycelium import rules
from mycelium.backend import Backend
from mycelium.models import Keeper

BEAT: Final = 2.0
"""Seconds between two signs of life."""
SILENCE: Final = 3 * BEAT
"""Seconds without one, after which the keeper is gone."""


class Turn:
    """What one client knows of the election for one duty."""

    def __init__(self, backend: Backend, duty: str, agent: str) -> None:
        self._backend = backend
        self._duty = duty
        self._agent = agent
        self._id = f"{agent[:40]}-{secrets.token_hex(6)}"
        self._seen = -1
        self._seen_at = 0.0
        self._took_at = 0.0
        self._beat_at = 0.0
        self.mine = False
        """Whether it is this client's turn."""

    async def watch(self) -> None:
        """Look whether the keeper is there; if not, try to become it."""
        (keeper,) = await self._backend.get(Keeper, [self._duty])
        now, version = time.monotonic(), keeper.version if keeper else 0
        if keeper is not None and version != self._seen:
            await self._notice(keeper, first=self._seen < 0)
            self._seen, self._seen_at = version, now
        if keeper is None or keeper.holder is None or now - self._seen_at >= SILENCE:
            await self._take(version)

    async def _notice(self, keeper: Keeper, *, first: bool) -> None:
        """The record has changed, or was seen for the first time."""

    async def _take(self, version: int) -> None:
        committed = await self._backend.commit(
            lambda view: rules.take_duty(view, self._duty, self._id, agent=self._agent, seen=version)
        )
        if committed.result is None:
            return
        self.mine, self._took_at, self._beat_at = True, time.monotonic(), time.monotonic()
        self._begin(committed.result, first=version == 0)

    def _begin(self, keeper: Keeper, *, first: bool) -> None:
        """It is this client's turn from now on; `first` where nobody has done the duty before."""

    def beat_is_due(self) -> bool:
        """Whether it is time for a sign of life."""
        return time.monotonic() - self._beat_at >= BEAT

    def beaten(self, kept: Keeper | None) -> bool:
        """A sign of life was given, and answered so; whether it is still this client's turn."""
        self._beat_at = time.monotonic()
        if kept is None:
            self.mine, self._seen = False, -1
        return self.mine

    async def leave(self) -> None:
        """Let another client do it at once."""
        if self.mine:
            self.mine = False
            await self._backend.commit(lambda view: rules.leave_duty(view, self._duty, self._id))
