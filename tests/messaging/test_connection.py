"""Publishing and consuming, with a broker that is there."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mycelium.errors import InvalidConfig, MyceliumError
from mycelium.settings.network import RabbitMQ
from mycelium_messaging.connection import Broker, Consumer, open_broker
from mycelium_messaging.errors import BrokerAway, BrokerRefused, QueueFull, TopologyDiffers, Unroutable
from mycelium_messaging.names import BINDINGS
from tests.support.certificates import make_certificates
from tests.support.rabbitmq import Names, RabbitServer, rabbit_server
from tests.support.redis import RedisServer, free_port

PATIENCE = 30.0


@asynccontextmanager
async def connected(settings: RabbitMQ, name: str = "test") -> AsyncGenerator[Broker]:
    async with open_broker(settings, name=name) as broker:
        with anyio.fail_after(PATIENCE):
            await broker.wait_connected()
        yield broker


async def taken(consumer: Consumer, count: int) -> list[bytes]:
    """The next bodies, acked."""
    bodies: list[bytes] = []
    with anyio.fail_after(PATIENCE):
        while len(bodies) < count:
            delivery = await consumer.get()
            await delivery.ack()
            bodies.append(delivery.body)
    return bodies


def waiting(corner: Names, queue: str) -> int:
    """How many messages the broker would give to anybody now."""
    with closing(corner.server.plain()) as connection:
        return int(connection.channel().queue_declare(corner.queue(queue), passive=True).method.message_count)


async def comes_true(corner: Names, queue: str, count: int) -> None:
    """Wait until so many messages wait in the queue: what is given back is there a moment later."""
    with anyio.fail_after(PATIENCE):
        while await anyio.to_thread.run_sync(waiting, corner, queue) != count:
            pass  # each look takes a while


async def test_what_is_published_arrives_as_it_was(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        headers = {"attempt": 2, "who": "ada"}
        await broker.publish(
            "task.created", b"{}", message_id="m-1", headers=headers, type="code_analysis", timestamp=9
        )
        async with broker.consume(corner.queue("agent_tasks"), 10) as consumer:
            with anyio.fail_after(PATIENCE):
                delivery = await consumer.get()
            assert (delivery.body, delivery.routing_key, delivery.exchange) == (b"{}", "task.created", corner.name)
            assert (delivery.message_id, delivery.type, delivery.timestamp) == ("m-1", "code_analysis", 9)
            assert (delivery.headers, delivery.redelivered) == (headers, False)
            assert delivery.ours
            await delivery.ack()
            await delivery.ack()
            assert not delivery.ours
    assert waiting(corner, "agent_tasks") == 0


async def test_a_plain_client_sees_a_persistent_message(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        await broker.publish("task.completed", b"done", message_id="m-1", expiration=60_000)
    with closing(corner.server.plain()) as connection:
        _, properties, body = connection.channel().basic_get(corner.queue("agent_responses"), auto_ack=True)
    assert (body, properties.delivery_mode, properties.message_id) == (b"done", 2, "m-1")
    assert (properties.content_type, properties.expiration) == ("application/json", "60000")


@pytest.mark.parametrize(
    ("routing_key", "queues"),
    [
        ("task.created", {"agent_tasks"}),
        ("task.failed", {"agent_responses"}),
        ("system.alert", {"system_events", "system_events.intake"}),
        ("user.ada.note", {"user_notifications"}),
        ("agent.coordination", {"agent_coordination", "agent_coordination.intake"}),
        ("agent.coordination.progress", {"agent_coordination"}),
    ],
)
async def test_where_routing_keys_lead(corner: Names, routing_key: str, queues: set[str]) -> None:
    async with connected(corner.settings(queue_type="classic")) as broker:
        await broker.publish(routing_key, b"{}", message_id="m-1")
    suffixes = ["agent_tasks", "agent_responses", "system_events", "user_notifications", "agent_coordination"]
    suffixes += ["agent_coordination.intake", "system_events.intake", "dead_letters"]
    assert {each for each in suffixes if waiting(corner, each)} == queues


async def test_many_are_published_at_once_and_none_is_lost(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        async with anyio.create_task_group() as tasks:
            for number in range(2000):
                tasks.start_soon(publish, broker, str(number))
        async with broker.consume(corner.queue("agent_tasks"), 100) as consumer:
            bodies = await taken(consumer, 2000)
    assert sorted(map(int, bodies)) == list(range(2000))


async def publish(broker: Broker, name: str) -> None:
    await broker.publish("task.created", name.encode(), message_id=name)


async def test_a_message_that_no_queue_takes_is_told_of_and_others_beside_it_are_not(corner: Names) -> None:
    refused: list[str] = []

    async def lost(name: str) -> None:
        with pytest.raises(Unroutable) as told:
            await broker.publish("task.exploded", b"", message_id=name)
        refused.append(str(told.value.data["message_id"]))

    async with connected(corner.settings()) as broker, anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(lost, f"m-{number % 5}")  # also where ids are the same
            tasks.start_soon(publish, broker, f"m-{number % 5}")
    assert sorted(refused) == sorted(f"m-{number % 5}" for number in range(50))
    assert waiting(corner, "agent_tasks") == 50


@pytest.mark.parametrize("kind", ["quorum", "classic"])
async def test_a_full_queue_refuses_and_keeps_what_it_has(corner: Names, kind: str) -> None:
    async with connected(corner.settings(max_length=5, queue_type=kind)) as broker:
        taken_in = 0
        with anyio.fail_after(PATIENCE), suppress(QueueFull):
            while True:
                await publish(broker, str(taken_in))
                taken_in += 1
        with pytest.raises(QueueFull, match="takes no more, or has trouble of its own"):
            await publish(broker, "still")
        async with broker.consume(corner.queue("agent_tasks"), 10) as consumer:
            assert await taken(consumer, taken_in) == [str(number).encode() for number in range(taken_in)]
    assert 5 <= taken_in <= 7  # a quorum queue refuses a little later than it says


async def test_what_amqp_cannot_write_harms_nothing(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for wrong in ({"routing_key": "k" * 300}, {"message_id": "\ud800"}, {"headers": {"n": 2**70}}):
            given: dict[str, Any] = {"routing_key": "task.created", "message_id": "m-1", **wrong}
            with pytest.raises(ValueError, match=r"\w"):
                await broker.publish(given.pop("routing_key"), b"", **given)
        await publish(broker, "after")
    assert waiting(corner, "agent_tasks") == 1


async def test_prefetch_bounds_what_is_held(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for number in range(10):
            await publish(broker, str(number))
        async with broker.consume(corner.queue("agent_tasks"), 3) as consumer:
            with anyio.fail_after(PATIENCE):
                held = [await consumer.get() for _ in range(3)]
            assert consumer.pending == 0
            assert waiting(corner, "agent_tasks") == 7
            await held[0].ack()
            with anyio.fail_after(PATIENCE):
                assert (await consumer.get()).body == b"3"


async def test_what_is_given_back_comes_again_and_what_is_rejected_does_not(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        await publish(broker, "one")
        async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
            with anyio.fail_after(PATIENCE):
                await (await consumer.get()).requeue()
                again = await consumer.get()
            assert again.redelivered
            await again.reject()
        await comes_true(corner, "dead_letters", 1)
    assert waiting(corner, "agent_tasks") == 0


async def test_stopping_gives_back_what_nobody_got_and_lets_the_rest_be_acked(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for number in range(6):
            await publish(broker, str(number))
        async with broker.consume(corner.queue("agent_tasks"), 4) as consumer:
            with anyio.fail_after(PATIENCE):
                first = await consumer.get()
            await comes_true(corner, "agent_tasks", 2)
            await consumer.stop()
            await comes_true(corner, "agent_tasks", 5)
            await first.ack()
            with pytest.raises(anyio.EndOfStream):
                await consumer.get()
        async with broker.consume(corner.queue("agent_tasks"), 10) as other:
            assert sorted(await taken(other, 5)) == [b"1", b"2", b"3", b"4", b"5"]


async def test_stopping_wakes_whoever_waits(corner: Names) -> None:
    ended = 0

    async def wait(consumer: Consumer) -> None:
        nonlocal ended
        with pytest.raises(anyio.EndOfStream):
            await consumer.get()
        ended += 1

    async with connected(corner.settings()) as broker, broker.consume(corner.queue("agent_tasks"), 4) as consumer:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait, consumer)
                await anyio.wait_all_tasks_blocked()
                await consumer.stop()
    assert ended == 3


async def test_whoever_gives_up_waiting_takes_nothing(corner: Names) -> None:
    got: list[bytes] = []

    async def take(consumer: Consumer) -> None:
        delivery = await consumer.get()
        await delivery.ack()
        got.append(delivery.body)

    async with connected(corner.settings()) as broker, broker.consume(corner.queue("agent_tasks"), 4) as consumer:
        async with anyio.create_task_group() as losers:
            for _ in range(3):
                losers.start_soon(take, consumer)
            await anyio.wait_all_tasks_blocked()
            losers.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take, consumer)
                await publish(broker, "one")
    assert got == [b"one"]


async def test_leaving_gives_back_what_was_not_settled(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        await publish(broker, "one")
        async with broker.consume(corner.queue("agent_tasks"), 4) as consumer:
            with anyio.fail_after(PATIENCE):
                delivery = await consumer.get()
        assert not delivery.ours
        await delivery.ack()  # to nobody
        await comes_true(corner, "agent_tasks", 1)


async def test_each_consumer_has_its_own_prefetch(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for number in range(4):
            await publish(broker, str(number))
        queue = corner.queue("agent_tasks")
        async with broker.consume(queue, 2) as one, broker.consume(queue, 2) as other:
            with anyio.fail_after(PATIENCE):
                bodies = {(await each.get()).body for each in (one, one, other, other)}
    assert bodies == {b"0", b"1", b"2", b"3"}


async def test_a_large_message_arrives(corner: Names) -> None:
    large = bytes(range(256)) * (20 * 1024 * 4)
    async with connected(corner.settings()) as broker:
        await broker.publish("task.created", large, message_id="large")
        async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
            assert await taken(consumer, 1) == [large]


async def published_once_routed(broker: Broker, body: str) -> None:
    """Publish this as soon as there is a queue for it."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await publish(broker, body)
            except Unroutable:
                await anyio.lowlevel.checkpoint()


async def test_a_queue_that_was_deleted_is_made_again(corner: Names, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(corner.settings()) as broker, broker.consume(corner.queue("agent_tasks"), 1) as consumer:
        await publish(broker, "before")
        assert await taken(consumer, 1) == [b"before"]
        with closing(corner.server.plain()) as connection:
            connection.channel().queue_delete(corner.queue("agent_tasks"))
        await published_once_routed(broker, "after")
        assert await taken(consumer, 1) == [b"after"]
    assert "starting again" in caplog.text


async def test_it_is_made_again_also_where_another_queue_has_been_changed(
    corner: Names, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(corner.settings()) as broker, broker.consume(corner.queue("agent_tasks"), 1) as consumer:
        await publish(broker, "before")
        assert await taken(consumer, 1) == [b"before"]
        with closing(corner.server.plain()) as connection:
            channel = connection.channel()
            channel.queue_delete(corner.queue("system_events"))
            channel.queue_declare(corner.queue("system_events"), durable=True)
            channel.queue_delete(corner.queue("agent_tasks"))
        await published_once_routed(broker, "after")
        assert await taken(consumer, 1) == [b"after"]
    assert corner.queue("system_events") in caplog.text


async def test_an_exchange_that_was_deleted_is_made_again(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        with closing(corner.server.plain()) as connection:
            connection.channel().exchange_delete(corner.name)
        with pytest.raises(BrokerAway):
            await publish(broker, "lost")
        with anyio.fail_after(PATIENCE):
            await broker.wait_connected()
        await publish(broker, "after")
    assert waiting(corner, "agent_tasks") == 1


async def test_what_is_under_way_at_the_end_is_confirmed(corner: Names) -> None:
    confirmed = 0

    async def count(name: str) -> None:
        nonlocal confirmed
        await publish(broker, name)
        confirmed += 1

    async with anyio.create_task_group() as tasks, connected(corner.settings()) as broker:
        for number in range(500):
            tasks.start_soon(count, str(number))
        await anyio.wait_all_tasks_blocked()
    assert confirmed == 500
    assert waiting(corner, "agent_tasks") == 500


async def trouble(settings: RabbitMQ) -> MyceliumError:
    async with open_broker(settings, name="test") as broker:
        with pytest.raises(MyceliumError) as told, anyio.fail_after(PATIENCE):
            await broker.wait_connected()
        with pytest.raises(BrokerAway), anyio.fail_after(1):
            await broker.publish("task.created", b"", message_id="m-1")
        assert not broker.connected
    return told.value


async def test_a_wrong_password(corner: Names) -> None:
    told = await trouble(corner.settings(password="secret-7"))
    assert isinstance(told, BrokerRefused)
    assert "ACCESS_REFUSED" in told.message
    assert "rabbitmq.password" in told.hint
    assert "secret-7" not in str(told)


async def test_a_vhost_that_is_not_there(corner: Names) -> None:
    told = await trouble(corner.settings(vhost="/elsewhere"))
    assert isinstance(told, BrokerRefused)
    assert "'/elsewhere'" in told.message
    assert "rabbitmq.vhost" in told.hint


async def test_another_user_in_another_vhost(rabbitmq: RabbitServer) -> None:
    names = Names(rabbitmq)
    for words in (
        ("add_vhost", names.name),
        ("add_user", names.name, "sesame"),
        ("set_permissions", "-p", names.name, names.name, ".*", ".*", ".*"),
    ):
        await anyio.to_thread.run_sync(rabbitmq.control, *words)
    settings = names.settings(vhost=names.name, username=names.name, password="sesame")
    async with connected(settings) as broker:
        await publish(broker, "one")
    await anyio.to_thread.run_sync(rabbitmq.control, "set_permissions", "-p", names.name, names.name, "", "", "")
    told = await trouble(settings)
    assert isinstance(told, BrokerRefused)
    assert "ACCESS_REFUSED" in told.message
    await anyio.to_thread.run_sync(rabbitmq.control, "delete_vhost", names.name)


def differences(told: MyceliumError) -> list[dict[str, str]]:
    assert isinstance(told, TopologyDiffers)
    found: Any = told.data["differences"]
    return found


async def test_a_queue_with_other_arguments_is_explained(corner: Names) -> None:
    async with connected(corner.settings()):
        pass
    told = await trouble(corner.settings(message_ttl_seconds=60))
    assert differences(told) == [
        {"name": corner.queue(suffix), "argument": "x-message-ttl", "wanted": "60000", "found": "3600000"}
        for suffix in BINDINGS
    ]
    assert told.hint.startswith("Set rabbitmq.message_ttl_seconds (")


async def test_all_that_differs_is_told_and_the_rest_declared(corner: Names) -> None:
    async with connected(corner.settings(max_length=7, queue_type="classic")):
        pass
    with closing(corner.server.plain()) as connection:
        for suffix in BINDINGS:
            if suffix != "agent_tasks":
                connection.channel().queue_delete(corner.queue(suffix))
        connection.channel().queue_delete(corner.queue("dead_letters"))
    told = await trouble(corner.settings())
    assert told.message.count(corner.queue("agent_tasks")) == 1
    assert {each["argument"]: each["found"] for each in differences(told)} == {
        "x-queue-type": "classic",
        "x-max-length": "7",
    }
    assert f"`rabbitmqctl delete_queue {corner.queue('agent_tasks')}`" in told.hint
    assert "rabbitmq.queue_type" in told.hint
    assert "rabbitmq.max_length" in told.hint
    with closing(corner.server.plain()) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(corner.name, "task.failed", b"", mandatory=True)  # else it raises


async def test_a_queue_of_the_other_kind_is_explained(corner: Names) -> None:
    async with connected(corner.settings(queue_type="classic")):
        pass
    told = await trouble(corner.settings())
    first = {"name": corner.queue("agent_tasks"), "argument": "x-queue-type", "wanted": "quorum", "found": "classic"}
    assert differences(told)[0] == first
    assert "rabbitmq.queue_type" in told.hint


async def test_no_host_and_no_such_file_are_told_at_once(corner: Names, tmp_path: Path) -> None:
    for settings, word in (
        (RabbitMQ(), "RABBITMQ_HOST"),
        (corner.settings(tls=True, ca_file=str(tmp_path / "none.pem")), "rabbitmq.ca_file"),
    ):
        with pytest.raises(InvalidConfig, match=word):
            async with open_broker(settings, name="test"):
                pass


async def test_something_that_is_no_broker(corner: Names, redis: RedisServer) -> None:
    async with open_broker(corner.settings(port=redis.port, connection_timeout_seconds=1), name="test") as broker:
        with anyio.move_on_after(3), pytest.raises(MyceliumError):
            await broker.wait_connected()
        assert broker.trouble is not None
        assert broker.trouble.code == "broker_unavailable"


async def test_pika_is_quiet(corner: Names, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with connected(corner.settings(), name="relay on x"):
            pass
        await trouble(corner.settings(password="wrong"))
    assert not [record for record in caplog.records if record.name.startswith("pika")]
    assert len([record for record in caplog.records if "refuses" in record.message]) == 1


async def test_administrators_read_who_it_is(corner: Names) -> None:
    async with connected(corner.settings(), name="worker ada"):
        listed = await anyio.to_thread.run_sync(corner.server.control, "list_connections", "client_properties")
    assert "worker ada" in listed


async def test_tls(corner: Names, tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certs")
    tls_port = free_port()
    conf = {
        "listeners.ssl.default": f"127.0.0.1:{tls_port}",
        "ssl_options.cacertfile": made.ca,
        "ssl_options.certfile": made.server,
        "ssl_options.keyfile": made.server_key,
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
    }
    with rabbit_server(tmp_path / "node", conf) as server:
        ours = {"cert_file": str(made.client), "key_file": str(made.client_key)}
        settings = server.settings(port=tls_port, tls=True, ca_file=str(made.ca), **ours)
        async with connected(settings) as broker:
            await publish(broker, "secret")
            async with broker.consume("qilbee.agent_tasks", 1) as consumer:
                assert await taken(consumer, 1) == [b"secret"]
        stranger = server.settings(port=tls_port, tls=True, **ours)
        told = await trouble(stranger)
        assert isinstance(told, BrokerRefused)
        assert "certificate" in told.message.lower()
        assert "rabbitmq.ca_file" in told.hint
