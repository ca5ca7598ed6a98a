"""A broker that is away, comes back, hangs, or closes what takes too long."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from mycelium.errors import MyceliumError
from mycelium.settings.network import RabbitMQ
from mycelium_messaging import link
from mycelium_messaging.connection import Broker, Consumer, open_broker
from mycelium_messaging.errors import BrokerAway, TooLargeForBroker
from mycelium_messaging.letters import bury, list_letters
from tests.messaging.test_connection import PATIENCE, connected, publish, taken
from tests.support.proxy import Proxy, proxy_to
from tests.support.rabbitmq import Names, rabbit_server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon: what is tested is that it is tried, not how rarely."""
    monkeypatch.setattr(link, "LONGEST", 0.3)


@asynccontextmanager
async def through(corner: Names, **settings: object) -> AsyncGenerator[tuple[Proxy, RabbitMQ]]:
    """A door to the shared node that can be shut for this test alone."""
    async with proxy_to(corner.server.port) as proxy:
        yield proxy, corner.settings(port=proxy.port, **settings)


async def insist(broker: Broker, name: str) -> int:
    """Publish until it is confirmed, as a relay does; how often it took."""
    times = 1
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                await publish(broker, name)
                return times
            except BrokerAway:
                times += 1
                await broker.wait_connected()


async def away(broker: Broker) -> None:
    with anyio.fail_after(PATIENCE):
        while broker.connected:  # noqa: ASYNC110  nothing tells of it
            await anyio.sleep(0.01)


async def test_a_broker_that_is_away_at_first(corner: Names, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with through(corner) as (proxy, settings):
        await proxy.shut()
        async with open_broker(settings, name="test") as broker:
            with anyio.fail_after(5), pytest.raises(BrokerAway, match="cannot be reached"):
                await broker.connect_now()
            with anyio.fail_after(1), pytest.raises(BrokerAway, match="cannot be reached"):
                await publish(broker, "too soon")
            async with broker.consume(corner.queue("agent_tasks"), 5) as consumer:
                await proxy.open()
                with anyio.fail_after(PATIENCE):
                    await broker.wait_connected()
                await publish(broker, "now")
                assert await taken(consumer, 1) == [b"now"]
    for words in ("cannot be reached", "is back after"):  # once, though there are two connections
        assert len([each for each in caplog.records if words in each.message]) == 1


async def test_cut_connections_lose_nothing_that_was_confirmed(corner: Names) -> None:
    bodies: list[bytes] = []
    done = anyio.Event()

    async def gather(consumer: Consumer) -> None:
        while len(set(bodies)) < 300:
            delivery = await consumer.get()
            await delivery.ack()
            bodies.append(delivery.body)
        done.set()

    async def cut(proxy: Proxy) -> None:
        for _ in range(4):
            seen = len(bodies)
            while len(bodies) < seen + 20 and not done.is_set():  # noqa: ASYNC110  nothing tells of it
                await anyio.sleep(0.005)
            proxy.cut()

    async with through(corner) as (proxy, settings), open_broker(settings, name="test") as broker:
        limit = anyio.CapacityLimiter(20)

        async def send(name: str) -> None:
            async with limit:
                await insist(broker, name)

        with anyio.fail_after(PATIENCE):
            async with broker.consume(corner.queue("agent_tasks"), 10) as consumer, anyio.create_task_group() as tasks:
                tasks.start_soon(gather, consumer)
                tasks.start_soon(cut, proxy)
                for number in range(300):
                    tasks.start_soon(send, str(number))
        assert proxy.accepted > 2
    assert {int(body) for body in bodies} == set(range(300))


async def test_what_came_by_a_lost_connection_is_settled_with_nobody_and_comes_again(corner: Names) -> None:
    async with through(corner) as (proxy, settings), connected(settings) as broker:
        await publish(broker, "one")
        async with broker.consume(corner.queue("agent_tasks"), 5) as consumer:
            with anyio.fail_after(PATIENCE):
                first = await consumer.get()
                proxy.cut()
                again = await consumer.get()
            assert not first.ours
            await first.ack()
            await first.requeue()
            assert (again.body, again.redelivered) == (b"one", True)
            await again.ack()


async def test_a_publish_that_is_cut_off_says_so_at_once(corner: Names) -> None:
    async with through(corner) as (proxy, settings), connected(settings) as broker:
        proxy.hang()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(expect_away, broker)
                await anyio.wait_all_tasks_blocked()
                proxy.cut()
        proxy.flow()


async def expect_away(broker: Broker) -> None:
    with pytest.raises(BrokerAway, match="before the broker confirmed"):
        await publish(broker, "one")


async def test_silence_ends_a_connection(corner: Names) -> None:
    async with through(corner, heartbeat_seconds=1) as (proxy, settings), connected(settings) as broker:
        proxy.hang()
        with anyio.fail_after(15), pytest.raises(BrokerAway):
            await publish(broker, "lost")
        proxy.flow()
        assert await insist(broker, "found") >= 1


async def test_leaving_while_nobody_answers_takes_a_bounded_time(corner: Names) -> None:
    with anyio.fail_after(15):
        async with through(corner, connection_timeout_seconds=1) as (proxy, settings), connected(settings):
            proxy.hang()


async def test_leaving_while_it_connects_leaves_nothing_behind(corner: Names) -> None:
    async with through(corner) as (proxy, settings):
        proxy.hang()
        with anyio.fail_after(5):
            async with open_broker(settings, name="test"):
                while not proxy.accepted:  # noqa: ASYNC110  nothing tells of it
                    await anyio.sleep(0.01)


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_node_that_dies_loses_nothing_that_was_confirmed(tmp_path: Path, end: str) -> None:
    confirmed: set[str] = set()
    with rabbit_server(tmp_path / "node") as server:
        settings = server.settings()
        async with open_broker(settings, name="test") as broker:
            with anyio.fail_after(PATIENCE):
                await broker.wait_connected()

            async def send(numbers: range) -> None:
                for number in numbers:
                    await insist(broker, str(number))
                    confirmed.add(str(number))

            with anyio.fail_after(90):
                async with anyio.create_task_group() as tasks:
                    for first in range(10):
                        tasks.start_soon(send, range(first * 100, first * 100 + 100))
                    while len(confirmed) < 200:  # noqa: ASYNC110  nothing tells of it
                        await anyio.sleep(0.005)
                    how: Callable[[], None] = getattr(server, end)
                    await anyio.to_thread.run_sync(how)
                    await away(broker)
                    assert len(confirmed) < 1000
                    await anyio.to_thread.run_sync(server.start)
            bodies: set[bytes] = set()
            async with broker.consume("qilbee.agent_tasks", 100) as consumer:
                while len(bodies) < 1000:
                    bodies.update(await taken(consumer, 1))
        assert bodies == {str(number).encode() for number in range(1000)}


async def test_a_delivery_that_takes_longer_than_the_broker_likes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rabbit_server(tmp_path / "node", consumer_timeout=1000, channel_tick_interval=500) as server:
        async with connected(server.settings()) as broker:
            await publish(broker, "slow")
            async with broker.consume("qilbee.agent_tasks", 5) as consumer:
                with anyio.fail_after(PATIENCE):
                    slow = await consumer.get()
                    again = await consumer.get()  # when the channel was closed and opened anew
                assert (again.body, again.redelivered) == (b"slow", True)
                assert not slow.ours
                await slow.ack()
                await again.ack()
                await publish(broker, "next")
                assert await taken(consumer, 1) == [b"next"]
            assert broker.connected
        with closing(server.plain()) as connection:
            queue = connection.channel().queue_declare("qilbee.agent_tasks", passive=True)
        assert queue.method.message_count == 0
    assert len([each for each in caplog.records if "starting again" in each.message]) == 1


async def test_a_message_that_is_too_large_fails_alone_and_for_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[MyceliumError] = []

    async def too_large(broker: Broker) -> None:
        with pytest.raises(TooLargeForBroker, match="its limit is 100000") as refused:
            await broker.publish("task.created", b"x" * 150_000, message_id="large")
        told.append(refused.value)

    with rabbit_server(tmp_path / "node", {"max_message_size": 100_000}) as server:
        async with connected(server.settings()) as broker:
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:  # all of them under way at once
                    for number in range(20):
                        tasks.start_soon(insist, broker, f"{number}")
                    tasks.start_soon(too_large, broker)
                    for number in range(20, 40):
                        tasks.start_soon(insist, broker, f"{number}")
            bodies: set[bytes] = set()
            async with broker.consume("qilbee.agent_tasks", 100) as consumer:
                while len(bodies) < 40:
                    bodies.update(await taken(consumer, 1))
    (error,) = told
    assert (error.code, error.data["message_id"], error.data["size"]) == ("message_too_large", "large", 150_000)
    assert bodies == {str(number).encode() for number in range(40)}
    assert "cannot be reached" not in caplog.text


async def test_a_message_that_is_too_large_to_be_buried_by_us_is_buried_by_the_broker(tmp_path: Path) -> None:
    lower = "application:set_env(rabbit, max_message_size, 100000)."
    with rabbit_server(tmp_path / "node") as server:
        async with connected(server.settings()) as broker:
            await broker.publish("task.created", b"x" * 150_000, message_id="large")
        await anyio.to_thread.run_sync(server.control, "eval", lower)
        async with connected(server.settings()) as broker, broker.consume("qilbee.agent_tasks", 1) as consumer:
            with anyio.fail_after(PATIENCE):
                assert await bury(broker, await consumer.get(), "not_json", "")
                while not (letters := await list_letters(broker)):
                    pass  # each look takes a while
    assert [(each.id, each.reason) for each in letters] == [("large", "rejected")]


async def publish_on(broker: Broker, name: str) -> None:
    while True:
        await publish(broker, name)


async def test_a_broker_with_an_alarm_is_waited_for_as_long_as_is_configured_and_then_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def alarm(level: str) -> None:
        await anyio.to_thread.run_sync(server.control, "set_vm_memory_high_watermark", level)

    with rabbit_server(tmp_path / "node") as server:
        async with connected(server.settings(connection_timeout_seconds=2)) as broker:
            await publish(broker, "before")
            await alarm("0.0001")
            with anyio.fail_after(PATIENCE):
                with pytest.raises(BrokerAway, match="takes no messages now: memory or disk alarm"):
                    await publish_on(broker, "during")  # the first one after the alarm is still taken
            assert not broker.connected
            assert broker.trouble is not None
            with pytest.raises(BrokerAway, match="takes no messages now"):
                broker.publish("task.created", b"", message_id="at once")
            await alarm("0.9")
            with anyio.fail_after(PATIENCE):
                await broker.wait_connected()
                await publish(broker, "after")
            assert broker.trouble is None
    told = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert len(told) == 2
    assert "memory or disk alarm (low on memory)" in told[0]
    assert "is back after" in told[1]


async def test_when_one_connection_is_back_the_other_one_waits_no_longer(
    corner: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried_often, waits_long = anyio.Event(), anyio.Event()

    def pauses(attempt: int) -> float:
        if attempt >= 5:
            tried_often.set()
        if attempt or not tried_often.is_set():
            return 0.02
        waits_long.set()
        return 3600.0

    monkeypatch.setattr(link, "pauses", pauses)
    async with through(corner) as (proxy, settings), connected(settings) as broker:
        await proxy.shut()
        with anyio.fail_after(PATIENCE):
            await tried_often.wait()
        async with broker.consume(corner.queue("agent_tasks"), 5) as consumer:
            with anyio.fail_after(PATIENCE):
                await waits_long.wait()
                await proxy.open()
                await broker.wait_connected()
                await publish(broker, "now")
                assert await taken(consumer, 1) == [b"now"]


def test_no_pause_is_longer_than_a_few_seconds() -> None:
    assert max(link.pauses(attempt) for attempt in range(1000)) <= link.LONGEST
