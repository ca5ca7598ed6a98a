"""A connection that comes back: kept for as long as it runs, made anew whenever it is lost."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from mycelium.errors import MyceliumError
from mycelium.settings.network import RabbitMQ
from mycelium_messaging.address import address_of
from mycelium_messaging.declaring import declare
from mycelium_messaging.errors import BrokerAway
from mycelium_messaging.refusals import stalled, trouble_of
from mycelium_messaging.wire import Cut, Wire, connected

log = logging.getLogger("mycelium.messaging")

FIRST: Final = 0.1
LONGEST: Final = 3.0
"""Seconds between two tries, at first and at most."""


def pauses(attempt: int) -> float:
    """How long to wait before the next try, so that many clients of one broker do not come back at once."""
    return min(LONGEST, FIRST * 2 ** min(attempt, 20)) * random.uniform(0.5, 1.0)


class Link:
    """Keeps one connection. `prepare` makes it ready for use each time, before anybody else gets it."""

    def __init__(
        self,
        settings: RabbitMQ,
        name: str,
        prepare: Callable[[Wire], Awaitable[None]] | None = None,
        *,
        declares: bool = True,
        tells: bool = True,
    ) -> None:
        self.settings = settings
        self.trouble: MyceliumError | None = None
        """Why there is no connection, as far as the last try could tell."""
        self._name = name
        self._prepare = prepare
        self._declares = declares
        self._tells = tells
        self._wire: Wire | None = None
        self._turned = anyio.Event()
        self._lost_at: float | None = None
        self._hurried = anyio.Event()
        self._beside: Link | None = None

    def beside(self, other: Link) -> None:
        """Both lead to one broker: what happens to both is told once, and where one is back, so may the other be."""
        self._beside, other._beside = other, self

    @property
    def connected(self) -> bool:
        """Whether it can be used, in both directions."""
        return self._wire is not None and self._wire.usable and not self._wire.stalled

    async def wire(self) -> Wire:
        """The connection, once there is one."""
        while self._wire is None or not self._wire.usable:
            await self._turned.wait()
        return self._wire

    async def turn(self) -> None:
        """Return when something has changed: a connection was made or lost, or a try has failed."""
        await self._turned.wait()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        attempt = 0
        while True:
            try:
                attempt = await self._once(attempt)
            except Cut as cut:
                self._missing(trouble_of(cut, self.settings))
            except MyceliumError as error:
                self._missing(error)
            with anyio.move_on_after(pauses(attempt)):
                await self._hurried.wait()
            self._hurried = anyio.Event()
            attempt += 1

    async def _once(self, attempt: int) -> int:
        """Use one connection until it is lost; the number of tries starts again if it was of any use."""
        async with connected(self.settings, self._name) as wire:
            if self._declares:
                await declare(wire, self.settings)
            if self._prepare is not None:
                await self._prepare(wire)
            wire.when_stalled(lambda: self._stalled(wire))
            self._found(wire)
            try:
                cut = await wire.gone()
            finally:
                self._wire = None
        self._missing(trouble_of(cut, self.settings))
        return 0

    def _found(self, wire: Wire) -> None:
        address = address_of(self.settings)
        lost_at, self._lost_at = self._lost_at, None
        self.trouble, self._wire = None, wire
        if lost_at is None:
            log.info("connected to RabbitMQ at %s", address)
        elif self._tells and (self._beside is None or not self._beside.lost):
            log.warning("RabbitMQ at %s is back after %.1f s", address, time.monotonic() - lost_at)
        if self._beside is not None:
            self._beside.hurry()
        self._turn()

    @property
    def lost(self) -> bool:
        return self._lost_at is not None

    def hurry(self) -> None:
        """Wait no longer for the next try."""
        if self.lost:
            self._hurried.set()

    def _missing(self, trouble: MyceliumError) -> None:
        if self._tells and trouble.code not in self._told():  # not at each try
            log.warning("%s Trying again until it works.", trouble)
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        self.trouble = trouble
        self._turn()

    def _told(self) -> set[str]:
        """The codes of what keeps us or the one beside us from being connected, which were told when they came up."""
        troubles = (self.trouble, self._beside and self._beside.trouble)
        return {trouble.code for trouble in troubles if trouble is not None}

    def _stalled(self, wire: Wire) -> None:
        if wire.stalled:
            self._missing(stalled(wire.stalled, self.settings))
        else:
            self._found(wire)

    def _turn(self) -> None:
        self._turned.set()
        self._turned = anyio.Event()

    def away(self) -> BrokerAway:
        """The error for whoever needs the connection now."""
        if isinstance(self.trouble, BrokerAway):
            return BrokerAway(self.trouble.message, hint=self.trouble.hint, **self.trouble.data)
        said = f"There is no connection to RabbitMQ at {address_of(self.settings)}"
        return BrokerAway(f"{said}: {self.trouble.message}" if self.trouble else f"{said} yet.", hint="Try again.")
