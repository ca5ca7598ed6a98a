"""The server's time, told by this machine's clock and what is known of the difference."""

from __future__ import annotations

from datetime import datetime, timedelta

from mycelium.backend import Clock
from mycelium.client.base import system_clock


class ServerClock:
    """Tells the server's time, so that machines whose clocks differ agree on when a lease ends.

    A clock that is not the system's, such as a test's, is believed as it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._follows = clock is system_clock
        self._offset = timedelta()

    def __call__(self) -> datetime:
        return self._clock() + self._offset

    def correct(self, server_time: datetime, asked_at: datetime) -> None:
        """Take notice of what the server's clock showed between `asked_at`, by this clock, and now."""
        if not self._follows:
            return
        now = self()
        if not asked_at <= server_time <= now:
            self._offset += server_time - asked_at - (now - asked_at) / 2
