"""When a schedule ticks: cron lines in their time zone, intervals, and single moments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from mycelium.errors import InvalidSchedule
from mycelium.models.trigger import OnSchedule

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LATE: Final = timedelta(seconds=60)
"""A tick that is acted on later than this was missed."""
MAX_CATCH_UP: Final = 1000
"""With `run_all`, so many missed ticks are made up for at most, the latest ones."""


def first_tick(schedule: OnSchedule, now: datetime) -> datetime:
    """The first tick after now.

    Raises:
        InvalidSchedule: the cron line, the time zone or the moment is wrong, or it would never tick.
    """
    zone(schedule.timezone)
    if schedule.at is not None and schedule.at < now - LATE:
        raise InvalidSchedule(
            f"{schedule.at.isoformat(timespec='seconds')} has passed.", hint="Give a time to come.", fields=["at"]
        )
    if schedule.at is not None:
        return schedule.at
    tick = next_tick(schedule, now)
    if tick is None:
        raise _never(schedule)
    return tick


def next_tick(schedule: OnSchedule, after: datetime) -> datetime | None:
    """The first tick later than `after`, or None where there is none any more."""
    if schedule.at is not None:
        return schedule.at if schedule.at > after else None
    if schedule.every_seconds is not None:
        return after + timedelta(seconds=schedule.every_seconds)
    return next(_cron(schedule, after), None)


def due_ticks(schedule: OnSchedule, since: datetime, now: datetime) -> tuple[list[datetime], datetime | None]:
    """The ticks to act on of those from `since` to now, as `missed` says, and the next one to come."""
    if schedule.every_seconds is not None:
        every = timedelta(seconds=schedule.every_seconds)
        passed = (now - since) // every
        ticks = [since + number * every for number in range(max(0, passed + 1 - MAX_CATCH_UP), passed + 1)]
        following: datetime | None = since + (passed + 1) * every
    elif schedule.at is not None:
        ticks, following = [schedule.at], None
    else:
        passing = (tick for tick in _cron(schedule, now + timedelta(seconds=1), backwards=True) if tick <= now)
        ticks = [*islice(takewhile(lambda tick: tick >= since, passing), MAX_CATCH_UP)][::-1]
        following = next_tick(schedule, now)
    return _chosen(schedule, ticks, now), following


def _chosen(schedule: OnSchedule, ticks: list[datetime], now: datetime) -> list[datetime]:
    match schedule.missed:
        case "run_all":
            return ticks
        case "run_once":
            return ticks[-1:]
        case _:
            return [tick for tick in ticks[-1:] if now - tick <= LATE]


def _cron(schedule: OnSchedule, start: datetime, *, backwards: bool = False) -> Iterator[datetime]:
    """The ticks after `start`, or those before it, latest first.

    Raises:
        InvalidSchedule: the cron line or the time zone is wrong.
    """
    # Imported here, since only those who use cron lines need it.
    from cronsim import CronSim, CronSimError

    line = schedule.cron or ""
    if len(line.split()) != 5:
        raise _unreadable(line, "it needs five fields: minute, hour, day, month and weekday")
    try:
        ticks = CronSim(line, start.astimezone(zone(schedule.timezone)), reverse=backwards)
    except CronSimError as error:
        raise _unreadable(line, str(error)) from None
    return (tick.astimezone(UTC) for tick in ticks)


def zone(name: str) -> tzinfo:
    """The time zone of this name.

    Raises:
        InvalidSchedule: there is none.
    """
    from zoneinfo import ZoneInfo as Zone
    from zoneinfo import ZoneInfoNotFoundError

    try:
        found: ZoneInfo = Zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSchedule(
            f"There is no time zone {name!r}.", hint="Name one such as Europe/Berlin, or UTC.", fields=["timezone"]
        ) from None
    return UTC if name == "UTC" else found


def _unreadable(line: str, why: str) -> InvalidSchedule:
    return InvalidSchedule(
        f"The cron line {line!r} cannot be read: {why}.",
        hint="Write five fields, such as `0 9 * * 1-5` for nine o'clock on weekdays.",
        fields=["cron"],
    )


def _never(schedule: OnSchedule) -> InvalidSchedule:
    return InvalidSchedule(
        f"The cron line {schedule.cron!r} never ticks.", hint="Name a day that its months have.", fields=["cron"]
    )
