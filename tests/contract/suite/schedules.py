"""Triggers that wait for a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of
from tests.contract.suite.triggers import settle, tasks_of_type
from tests.support.clock import FakeClock
from tests.support.store import refuses

THEN: dict[str, Any] = {"task": {"type": "tick", "payload": {"at": {"$from": "cause.time"}}}}


async def ticks(m: Mycelium) -> list[str]:
    """When the ticks were that have been acted on."""
    return [str(task.payload["at"]) for task in await tasks_of_type(m, "tick")]


class ScheduleContract(Contract):
    async def test_an_interval_ticks_without_drifting(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        start = clock()
        trigger = await m.create_trigger({"schedule": {"every_seconds": 10.0}}, THEN)
        for late in (10.4, 9.9, 9.8):
            clock.advance(late)
            await bob.housekeep()
            await m.housekeep()
        assert await ticks(m) == [(start + timedelta(seconds=10 * n)).isoformat() for n in (1, 2, 3)]
        found = await m.get_trigger(trigger.id)
        assert (found.fired, found.next_at) == (3, start + timedelta(seconds=40))

    @pytest.mark.parametrize(("missed", "expected"), [("skip", []), ("run_once", [9]), ("run_all", [*range(1, 10)])])
    @pytest.mark.parametrize("schedule", [{"every_seconds": 600.0}, {"cron": "*/10 * * * *"}])
    async def test_missed_ticks_are_dealt_with_as_was_said(
        self, m: Mycelium, clock: FakeClock, missed: str, expected: list[int], schedule: dict[str, Any]
    ) -> None:
        start = clock()
        await m.create_trigger({"schedule": {**schedule, "missed": missed}}, THEN)
        clock.advance(600 * 9 + 300)
        await settle(m)
        assert await ticks(m) == [(start + timedelta(minutes=10 * n)).isoformat() for n in expected]
        clock.advance(300)
        await settle(m)
        assert len(await ticks(m)) == len(expected) + 1

    @pytest.mark.parametrize("missed", ["skip", "run_once", "run_all"])
    async def test_a_schedule_that_passes_all_its_ticks_over_tells_so(
        self, m: Mycelium, clock: FakeClock, missed: str
    ) -> None:
        at = clock() + timedelta(seconds=600)
        once = await m.create_trigger({"schedule": {"at": at.isoformat(), "missed": missed}}, THEN)
        often = await m.create_trigger({"schedule": {"every_seconds": 600.0, "missed": missed}}, THEN)
        clock.advance(1500)
        await settle(m)
        assert ((await m.get_trigger(once.id)).status, (await m.get_trigger(often.id)).status) == ("done", "active")
        told = {event.data["trigger_id"]: event.data for event in await events_of(m, "trigger.missed")}
        if missed != "skip":
            assert told == {}
            return
        following = (at + timedelta(seconds=1200)).isoformat()
        assert told == {
            once.id: {"trigger_id": once.id, "at": at.isoformat(), "status": "done"},
            often.id: {"trigger_id": often.id, "at": at.isoformat(), "next_at": following, "status": "active"},
        }

    async def test_what_was_missed_for_long_is_made_up_for_within_bounds(self, m: Mycelium, clock: FakeClock) -> None:
        await m.create_trigger({"schedule": {"every_seconds": 60.0, "missed": "run_all"}}, THEN)
        clock.advance(60 * 1500)
        await settle(m)
        found = (await m.list_triggers()).records[0]
        assert (found.fired, found.next_at) == (1000, clock() + timedelta(seconds=60))

    async def test_one_moment_comes_once(self, m: Mycelium, clock: FakeClock) -> None:
        at = clock() + timedelta(seconds=50)
        trigger = await m.create_trigger({"schedule": {"at": at.isoformat()}}, THEN)
        await settle(m)
        assert await ticks(m) == []
        clock.advance(51)
        await settle(m)
        assert await ticks(m) == [at.isoformat()]
        assert (await m.get_trigger(trigger.id)).status == "done"
        async with refuses(m, "illegal_transition"):
            await m.start_trigger(trigger.id)

    async def test_a_stopped_schedule_goes_on_from_when_it_is_started(self, m: Mycelium, clock: FakeClock) -> None:
        trigger = await m.create_trigger({"schedule": {"cron": "0 * * * *"}}, THEN)
        await m.stop_trigger(trigger.id)
        clock.advance(3 * 3600)
        await settle(m)
        assert await ticks(m) == []
        assert (await m.start_trigger(trigger.id)).next_at == clock() + timedelta(hours=1)

    @pytest.mark.parametrize(
        ("start", "hours"),
        [
            # Clocks go forward at 01:00 UTC on 31 March 2030: half past two does not exist, and comes when it can.
            (datetime(2030, 3, 30, 0, tzinfo=UTC), ["2030-03-30T01:30", "2030-03-31T01:00", "2030-04-01T00:30"]),
            # They go back at 01:00 UTC on 27 October 2030: half past two comes twice, and ticks once.
            (datetime(2030, 10, 26, 0, tzinfo=UTC), ["2030-10-26T00:30", "2030-10-27T00:30", "2030-10-28T01:30"]),
        ],
    )
    async def test_clocks_that_are_changed_neither_lose_nor_double_a_tick(
        self, m: Mycelium, clock: FakeClock, start: datetime, hours: list[str]
    ) -> None:
        clock.now = start
        await m.create_trigger({"schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}}, THEN)
        for _ in range(73):
            await settle(m)
            clock.advance(3600)
        assert [at[:16] for at in await ticks(m)] == hours

    @pytest.mark.parametrize(
        "schedule",
        [
            {"cron": "0 0 30 2 *"},
            {"cron": "61 * * * *"},
            {"cron": "* * * *"},
            {"cron": "* * * * * *"},
            {"cron": "@daily"},
            {"cron": ""},
            {"cron": "0 9 * * *", "timezone": "Mars/Olympus"},
            {"cron": "0 9 * * *", "timezone": "../etc/passwd"},
            {"cron": "0 9 * * *", "timezone": ""},
            {"every_seconds": 60.0, "timezone": "Mars/Olympus"},
            {"at": "2020-01-01T00:00:00Z"},
        ],
    )
    async def test_a_time_that_never_comes_is_refused(self, m: Mycelium, schedule: dict[str, Any]) -> None:
        async with refuses(m, "invalid_schedule"):
            await m.create_trigger({"schedule": schedule}, THEN)

    @pytest.mark.parametrize(
        "schedule",
        [
            {},
            {"every_seconds": 0.0},
            {"every_seconds": 1e-9},
            {"every_seconds": -5.0},
            {"every_seconds": "often"},
            {"every_seconds": 60.0, "cron": "0 9 * * *"},
            {"at": "tomorrow"},
            {"at": "2031-01-01T00:00:00"},
            {"cron": 5},
            {"every_seconds": 60.0, "missed": "sometimes"},
        ],
    )
    async def test_a_schedule_that_says_nothing_is_refused(self, m: Mycelium, schedule: dict[str, Any]) -> None:
        async with refuses(m, "invalid_input"):
            await m.create_trigger({"schedule": schedule}, THEN)
