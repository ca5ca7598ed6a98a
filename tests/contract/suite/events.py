"""Events: numbered without gaps, read from a cursor, followed as they come."""

from contextlib import aclosing
from functools import partial
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.backend import Backend
from mycelium.errors import InvalidCursor
from mycelium.models import Event, EventPage
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock
from tests.support.store import PATIENCE, claimed, log, refuses


async def take(m: Mycelium, count: int, *channels: str, after: int | None = None) -> list[Event]:
    """The first events that following gives."""
    taken: list[Event] = []
    async with aclosing(m.follow_events(channels, after=after)) as events:
        async for event in events:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


class EventContract(Contract):
    async def test_a_published_event_is_in_the_log_as_it_was_said(self, m: Mycelium, clock: FakeClock) -> None:
        event = await m.publish_event("training:events", {"step": 1000, "loss": [0.42]}, type="checkpoint")
        assert (event.seq, event.channel, event.type, event.source) == (1, "training:events", "checkpoint", "ada")
        assert (event.data, event.time) == ({"step": 1000, "loss": [0.42]}, clock())
        assert await log(m) == [event]

    async def test_an_event_has_the_type_its_data_names(self, m: Mycelium) -> None:
        assert (await m.publish_event("c", {"event": "saved"})).type == "saved"
        assert (await m.publish_event("c", {"event": "saved"}, type="other")).type == "other"
        assert (await m.publish_event("c")).type == "message"
        assert (await m.publish_event("c", {"event": ["odd"]}, type="other")).type == "other"

    async def test_events_are_numbered_from_one_without_gaps(self, m: Mycelium, bob: Mycelium) -> None:
        assert await m.last_seq() == 0
        async with anyio.create_task_group() as group:
            for number in range(60):
                who = (m, bob)[number % 2]
                group.start_soon(lambda who=who, number=number: who.publish_event("c", {"n": number}))
                group.start_soon(who.create_task, "x")
        events = await log(m)
        assert [event.seq for event in events] == list(range(1, 121))
        assert len({event.id for event in events}) == 120
        assert sorted(str(event.data["n"]) for event in events if event.channel == "c") == sorted(map(str, range(60)))
        assert await m.last_seq() == await bob.last_seq() == 120

    async def test_a_refused_call_uses_no_number(self, m: Mycelium) -> None:
        await m.publish_event("c")
        async with refuses(m, "unknown_dependency"):
            await m.create_task("x", depends_on=["nowhere"])
        assert (await m.publish_event("c")).seq == 2

    async def test_channels_narrow_what_is_read(self, m: Mycelium) -> None:
        for number in range(9):
            await m.publish_event("abc"[number % 3], {"n": number})
        page = await m.read_events(["a", "c"])
        assert [event.data["n"] for event in page.events] == [0, 2, 3, 5, 6, 8]
        assert (await m.read_events(["d"])).events == []
        assert (await m.read_events(["d"])).cursor == 9

    async def test_paging_by_cursor_gives_every_event_once(self, m: Mycelium) -> None:
        for number in range(23):
            await m.publish_event("ab"[number % 2], {"n": number})
        for channels, wanted in ((), list(range(23))), (("a",), list(range(0, 23, 2))):
            found: list[object] = []
            cursor = 0
            while (page := await m.read_events(channels, after=cursor, limit=4)).events:
                assert page.cursor > cursor
                found += [event.data["n"] for event in page.events]
                cursor = page.cursor
            assert found == wanted
            assert cursor == await m.last_seq()

    async def test_the_latest_events_come_oldest_first(self, m: Mycelium) -> None:
        for number in range(10):
            await m.publish_event("ab"[number % 2], {"n": number})
        page = await m.latest_events(limit=3)
        assert ([event.data["n"] for event in page.events], page.cursor) == ([7, 8, 9], 10)
        assert [event.data["n"] for event in (await m.latest_events(["a"], limit=2)).events] == [6, 8]
        assert (await m.latest_events(["none"])).events == []

    @pytest.mark.parametrize("after", [-1, 3, 10**30, "1", 1.0, None, True])
    async def test_a_number_that_no_event_has_is_no_cursor(self, m: Mycelium, after: int) -> None:
        await m.publish_event("c")
        await m.publish_event("c")
        async with refuses(m, "invalid_cursor") as caught:
            await m.read_events(after=after)
        assert isinstance(caught.value, InvalidCursor)
        assert (await m.read_events(after=2)).events == []

    async def test_following_from_a_number_that_no_event_has_is_refused(self, m: Mycelium) -> None:
        for after in (-1, 1):
            async with refuses(m, "invalid_cursor"):
                await take(m, 1, after=after)

    async def test_the_store_opens_while_somebody_waits(self, store: Backend, tmp_path: Path, clock: FakeClock) -> None:
        async with store.changes():
            other = await self.open(tmp_path, clock)
            async with Mycelium.over(other, clock=clock, background=False) as late:
                assert (await late.publish_event("c")).seq == 1
            await other.aclose()

    async def test_waiting_wakes_when_something_happens(self, m: Mycelium, bob: Mycelium) -> None:
        page = EventPage([], 0)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(bob.publish_event, "other")
                group.start_soon(bob.create_task, "x")
                page = await m.read_events(["tasks:events"], wait_seconds=3600)
        assert [event.type for event in page.events] == ["task.created"]

    async def test_waiting_readers_all_wake(self, m: Mycelium, bob: Mycelium) -> None:
        found: list[Event] = []

        async def wait(who: Mycelium) -> None:
            found.extend((await who.read_events(["c"], after=start, wait_seconds=3600)).events)

        await m.publish_event("c")
        start = await m.last_seq()
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for who in (m, bob) * 10:
                    group.start_soon(wait, who)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                await bob.publish_event("c", {"n": 1})
        assert [event.data for event in found] == [{"n": 1}] * 20

    async def test_waiting_ends_with_nothing_when_nothing_happens(self, m: Mycelium) -> None:
        await m.publish_event("other")
        with anyio.fail_after(PATIENCE):
            page = await m.read_events(["c"], wait_seconds=0.01)
        assert (page.events, page.cursor) == ([], 1)

    async def test_waiting_is_not_needed_for_what_is_there(self, m: Mycelium) -> None:
        event = await m.publish_event("c")
        with anyio.fail_after(PATIENCE):
            assert (await m.read_events(wait_seconds=3600)).events == [event]

    async def test_a_follower_sees_everything_in_order_while_twenty_write(self, m: Mycelium, bob: Mycelium) -> None:
        async def write(writer: int) -> None:
            for number in range(15):
                await (m, bob)[writer % 2].publish_event("c", {"writer": writer, "n": number})

        events: list[Event] = []
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for writer in range(20):
                    group.start_soon(write, writer)
                events = await take(bob, 300, "c", after=0)
        assert [event.seq for event in events] == list(range(1, 301))
        for writer in range(20):
            assert [event.data["n"] for event in events if event.data["writer"] == writer] == list(range(15))

    async def test_following_begins_now_unless_told_otherwise(self, m: Mycelium) -> None:
        taken: list[Event] = []
        await m.publish_event("c", {"n": 1})
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:

                async def follow() -> None:
                    taken.extend(await take(m, 1, "c"))
                    group.cancel_scope.cancel()

                group.start_soon(follow)
                while True:
                    await anyio.lowlevel.checkpoint()
                    await m.publish_event("c", {"n": 2})
        assert taken[0].data == {"n": 2}
        assert [event.data["n"] for event in await take(m, 2, "c", after=0)] == [1, 2]

    async def test_a_subscriber_gets_its_channel_in_order_until_it_unsubscribes(self, m: Mycelium) -> None:
        send, receive = anyio.create_memory_object_stream[Event](100)
        await m.publish_event("c", {"n": 0})
        await m.subscribe_events("c", send.send)
        for number in range(1, 4):
            await m.publish_event("other", {"n": -1})
            await m.publish_event("c", {"n": number})
        with anyio.fail_after(PATIENCE):
            assert [(await receive.receive()).data["n"] for _ in range(3)] == [1, 2, 3]
        await m.unsubscribe_events("c")
        await m.unsubscribe_events("never")
        await m.publish_event("c", {"n": 4})
        await m.subscribe_events("c", send.send)
        await m.publish_event("c", {"n": 5})
        with anyio.fail_after(PATIENCE):
            assert (await receive.receive()).data == {"n": 5}
        send.close()
        receive.close()

    async def test_a_subscriber_that_fails_gets_the_next_event_all_the_same(self, m: Mycelium) -> None:
        got: list[object] = []
        enough = anyio.Event()

        async def callback(event: Event) -> None:
            got.append(event.data["n"])
            if len(got) == 3:
                enough.set()
            raise ValueError(event.seq)

        await m.subscribe_events("c", callback)
        for number in range(3):
            await m.publish_event("c", {"n": number})
        with anyio.fail_after(PATIENCE):
            await enough.wait()
        assert got == [0, 1, 2]

    async def test_anything_that_is_called_with_await_may_subscribe(self, m: Mycelium) -> None:
        send, receive = anyio.create_memory_object_stream[str](3)

        async def tell(who: str, event: Event) -> None:
            await send.send(f"{who} {event.type}")

        class Subscriber:
            async def __call__(self, event: Event) -> None:
                await tell("object", event)

        for callback in (partial(tell, "part"), Subscriber(), Subscriber().__call__):
            await m.subscribe_events("c", callback)
        await m.publish_event("c")
        with anyio.fail_after(PATIENCE):
            heard = sorted([await receive.receive() for _ in range(3)])
        assert heard == ["object message", "object message", "part message"]
        send.close()
        receive.close()

    @pytest.mark.parametrize(
        ("channel", "type"),
        [("tasks:events", "task.completed"), ("agents:events", "agent.status"), ("workflows:events", "workflow.x")],
    )
    async def test_nobody_can_say_what_only_mycelium_says(self, m: Mycelium, channel: str, type: str) -> None:
        async with refuses(m, "invalid_input"):
            await m.publish_event(channel, {"task_id": "t-1"}, type=type)
        assert (await m.publish_event(channel, type="remark")).seq == 1
        assert (await m.publish_event("mine", type=type)).seq == 2

    async def test_each_change_of_status_is_exactly_one_event(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("x", max_attempts=2, retry_backoff=0)
        await claimed(m, task.id, seconds=10)
        clock.advance(10)
        await m.housekeep()
        await claimed(m, task.id)
        await m.update_task(task.id, progress=0.5)
        await m.renew_lease(task.id)
        await m.update_task(task.id, release=True)
        await claimed(m, task.id)
        await m.fail_task(task.id, "x")
        events = [event.type for event in await log(m) if event.channel == "tasks:events"]
        assert events == [
            "task.created", "task.started", "task.expired", "task.started", "task.progress", "task.released",
            "task.started", "task.failed",
        ]  # fmt: skip
