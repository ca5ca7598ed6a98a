"""Who keeps house: one at a time, told by whether its record goes on changing, and never by a clock."""

from datetime import timedelta
from pathlib import Path
from typing import cast

from mycelium import Mycelium
from mycelium.client.clock import SharedClock
from mycelium.client.house import House
from mycelium.models import HOUSE, Keeper
from mycelium.rules import Change, keep_house, leave_duty, take_duty
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock


async def keeper(m: Mycelium) -> Keeper | None:
    return (await m.backend.get(Keeper, [HOUSE]))[0]


class HouseContract(Contract):
    async def test_of_two_that_see_the_same_only_one_takes_it(self, m: Mycelium, bob: Mycelium) -> None:
        first = await m.backend.commit(lambda view: take_duty(view, HOUSE, "one", agent="ada", seen=0))
        second = await bob.backend.commit(lambda view: take_duty(view, HOUSE, "two", agent="bob", seen=0))
        assert first.result is not None
        assert second.result is None
        third = await bob.backend.commit(lambda view: take_duty(view, HOUSE, "two", agent="bob", seen=1))
        assert third.result is not None
        relieved = await m.backend.commit(lambda view: keep_house(view, "one", cursor=5))
        assert relieved.result is None
        found = await keeper(m)
        assert found is not None
        assert (found.holder, found.cursor) == ("two", 0)
        await m.backend.commit(lambda view: leave_duty(view, HOUSE, "one"))
        assert await keeper(m) == found

    async def test_the_cursor_never_goes_back(self, m: Mycelium) -> None:
        await m.backend.commit(lambda view: take_duty(view, HOUSE, "one", agent="ada", seen=0))
        for cursor in (7, 3):
            await m.backend.commit(lambda view, cursor=cursor: keep_house(view, "one", cursor=cursor, fired=1))
        found = await keeper(m)
        assert found is not None
        assert (found.cursor, found.fired) == (7, 2)

    async def test_who_leaves_is_followed_at_once(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        one, two = House(m.backend, "ada", clock), House(bob.backend, "bob", clock)
        await one.watch()
        await two.watch()
        assert (one.mine, two.mine) == (True, False)
        await one.leave()
        await two.watch()
        assert (one.mine, two.mine) == (False, True)

    async def test_a_wrong_clock_goes_by_the_keepers(self, m: Mycelium, tmp_path: Path, clock: FakeClock) -> None:
        wrong = SharedClock(lambda: clock() + timedelta(hours=1))
        backend = await self.open(tmp_path, cast("FakeClock", wrong)) if self.shared else m.backend
        two = House(backend, "bob", wrong)
        await m.backend.commit(lambda view: take_duty(view, HOUSE, "one", agent="ada", seen=0))
        await two.watch()
        assert wrong() == clock() + timedelta(hours=1)  # what it saw first may be old
        clock.advance(2)
        await m.backend.commit(lambda view: keep_house(view, "one", cursor=0))
        await two.watch()
        assert (await backend.commit(lambda view: Change(view.now))).result == clock()
        if self.shared:
            await backend.aclose()

    async def test_who_only_lends_a_hand_is_no_sign_of_life(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        await m.backend.commit(lambda view: take_duty(view, HOUSE, "dead", agent="ada", seen=0))
        own = SharedClock(clock)
        two = House(bob.backend, "bob", own)
        await two.watch()
        before = await keeper(m)
        clock.advance(3600)
        await bob.create_trigger({"event": {"channel": "c"}}, {"task": {"type": "x"}})
        await bob.publish_event("c")
        assert await bob.housekeep() == 1
        await two.watch()
        assert own() == clock()
        assert await keeper(m) == before

    async def test_its_work_is_counted(self, m: Mycelium) -> None:
        await m.create_trigger({"event": {"channel": "c"}}, {"task": {"type": "x"}})
        await m.publish_event("c")
        await m.housekeep()
        found = (await m.get_stats()).housekeeper
        assert found is not None
        assert found.fired == 1
        assert found.cursor > 0

    async def test_ticks_are_counted_as_fired_and_leases_as_expired(self, m: Mycelium, clock: FakeClock) -> None:
        async def counted() -> tuple[int, int]:
            found = (await m.get_stats()).housekeeper
            assert found is not None
            return found.expired, found.fired

        await m.create_trigger({"schedule": {"every_seconds": 600.0, "missed": "run_all"}}, {"task": {"type": "x"}})
        clock.advance(1200)
        assert await m.housekeep() == 2
        assert await counted() == (0, 2)
        await m.claim_task(lease_seconds=5)
        clock.advance(30)
        assert await m.housekeep() == 1
        assert await counted() == (1, 2)
