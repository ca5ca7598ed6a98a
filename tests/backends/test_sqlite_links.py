"""What SQLite finds tasks by, where it is more than the contract sees: waits that return, and claims of many lanes."""

from pathlib import Path

from mycelium import Mycelium
from mycelium.models import Task
from mycelium.rules import Change
from mycelium_backends.sqlite import open_backend
from tests.contract.suite.kinds import puts, task
from tests.support.clock import FakeClock


async def test_who_still_waits_waits_again_on_a_task_that_lost_its_outcome(tmp_path: Path, clock: FakeClock) -> None:
    store = await open_backend(f"sqlite:///{tmp_path}/store.db", clock)
    first, second = task(clock, "first"), task(clock, "second")
    both = task(clock, "both", depends_on=["first", "second"], run_when="all_done", blocked=True)
    await store.commit(puts(first, second, both))
    failed = first.changed(status="failed")
    await store.commit(puts(failed))
    assert await store.waiting_on("both", 10) == ["second"]
    await store.commit(puts(failed.changed(status="pending")))
    assert sorted(await store.waiting_on("both", 10)) == ["first", "second"]
    waiters = await store.commit(lambda view: Change(view.waiters(["first"])))
    assert [[each.task_id for each in one] for one in waiters.result] == [["both"]]
    assert await store.get(Task, ["both"]) == [both]
    await store.aclose()


async def test_many_lanes_and_types_are_asked_for_in_one_claim(tmp_path: Path, clock: FakeClock) -> None:
    store = await open_backend(f"sqlite:///{tmp_path}/store.db", clock)
    async with Mycelium.over(store, agent="ada", clock=clock, background=False) as m:
        await store.commit(puts(*(task(clock, f"t-{n}", queue=f"q-{n}", type=f"x-{n}") for n in range(30))))
        await store.commit(puts(task(clock, "urgent", queue="q-7", type="x-29", priority="critical")))
        types = [f"x-{n}" for n in range(99)]
        got = [await m.claim_task(types=types) for _ in range(32)]
        assert [each and each.id for each in got] == ["urgent", *(f"t-{n}" for n in range(30)), None]
    await store.aclose()
