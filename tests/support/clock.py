"""A clock that tests turn by hand."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Stands still until it is advanced. Safe to read from any thread."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Move on (or back, if negative) and return the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now
