"""Dead letters: never lost, never in a loop, and out again when somebody wants them to be."""

import json
from contextlib import closing
from typing import Any

import anyio
import pika
import pytest

from mycelium_messaging import link
from mycelium_messaging.connection import Broker
from mycelium_messaging.delivery import Delivery
from mycelium_messaging.letter import Letter
from mycelium_messaging.letters import (
    Fate,
    bury,
    count_letters,
    drop_letters,
    find_letters,
    list_letters,
    queue,
    replay_letters,
)
from tests.messaging.test_connection import PATIENCE, comes_true, connected, publish, taken, waiting
from tests.messaging.test_faults import through
from tests.support.rabbitmq import Names


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LONGEST", 0.3)


def send(corner: Names, body: bytes, **properties: Any) -> None:
    """What a plain client sends."""
    with closing(corner.server.plain()) as connection:
        connection.channel().basic_publish(corner.name, "task.created", body, pika.BasicProperties(**properties))


async def bury_next(broker: Broker, corner: Names, code: str = "not_json", **more: Any) -> Delivery:
    async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
        with anyio.fail_after(PATIENCE):
            delivery = await consumer.get()
            assert await bury(broker, delivery, code, "what is wrong", **more)
        assert delivery.settled
    return delivery


async def test_a_message_is_buried_with_its_reason(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        send(corner, b"hello", message_id="m-1", headers={"trace": "abc", "deep": {"n": [1, None]}}, type="odd")
        await bury_next(broker, corner, task="task-1", history=[{"attempt": 1, "error": "no"}])
        (letter,) = await list_letters(broker, 10)
        assert (letter.id, letter.reason, letter.says) == ("m-1", "not_json", "what is wrong")
        assert (letter.queue, letter.exchange, letter.routing_key) == (
            corner.queue("agent_tasks"),
            corner.name,
            "task.created",
        )
        assert (letter.preview, letter.size, letter.task) == ("hello", 5, "task-1")
        assert letter.history == [{"attempt": 1, "error": "no"}]
        assert letter.at is not None
        await replay_letters(broker, None)
        async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
            with anyio.fail_after(PATIENCE):
                again = await consumer.get()
            await again.ack()
    assert (again.body, again.message_id, again.type) == (b"hello", "m-1", "odd")
    assert again.headers["trace"] == "abc"
    assert again.headers["deep"] == {"n": [1, None]}
    assert [name for name in again.headers if name.startswith("x-mycelium")] == ["x-mycelium-replayed"]
    assert waiting(corner, "agent_tasks") == waiting(corner, "dead_letters") == 0


async def test_a_letter_that_dies_again_says_why_this_time_and_how_often_it_was_sent(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        send(corner, b"hello", message_id="m-1")
        for reason in ("not_json", "unknown_type", "task_failed"):
            await bury_next(broker, corner, reason)
            (letter,) = await list_letters(broker, 10)
            assert letter.reason == reason
            await replay_letters(broker, [letter.id])
        await bury_next(broker, corner)
        (letter,) = await list_letters(broker, 10)
        assert letter.replayed == 3


async def test_what_has_no_id_gets_one_that_stays(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for _ in range(2):
            send(corner, b"same")
            await bury_next(broker, corner)
        first, second = await list_letters(broker, 10)
        assert first.id == second.id
        done = await replay_letters(broker, [first.id])  # sent once, since it is the same message
        assert len(done) == 2
    assert (waiting(corner, "agent_tasks"), waiting(corner, "dead_letters")) == (1, 0)


async def test_what_has_an_id_in_its_envelope_alone_is_called_by_that(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for body in (b'{"id": "msg-1"}', b'{"id": "msg-1"}', b'{"id": "msg-1", "n": 1}'):
            send(corner, body)
            await bury_next(broker, corner)
        assert [each.id for each in await list_letters(broker, 10)] == ["msg-1"] * 3
        assert len(await replay_letters(broker, ["msg-1"])) == 3
        async with broker.consume(corner.queue("agent_tasks"), 5) as consumer:  # the same message once, the other, too
            assert await taken(consumer, 2) == [b'{"id": "msg-1"}', b'{"id": "msg-1", "n": 1}']
    assert (waiting(corner, "agent_tasks"), waiting(corner, "dead_letters")) == (0, 0)


@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b'{"id": 7}', b'{"id": ""}', b'{"id": "\\ud800"}', b'{"id": "a\\nb"}',
     b'{"id": "%s"}' % (b"x" * 256)],
)  # fmt: skip
async def test_an_id_that_amqp_has_no_room_for_is_none(corner: Names, body: bytes) -> None:
    async with connected(corner.settings()) as broker:
        send(corner, body)
        await bury_next(broker, corner)
        (letter,) = await list_letters(broker, 10)
    assert letter.id.startswith("sha-")


async def test_a_large_message_with_more_headers_than_there_is_room_for(corner: Names) -> None:
    headers = {f"h{number}": "x" * 1000 for number in range(110)}
    async with connected(corner.settings()) as broker:
        send(corner, b"y" * 20_000_000, message_id="m-1", headers=headers)
        await bury_next(broker, corner, "too_large", history=["z" * 1000] * 100)
        (letter,) = await list_letters(broker, 10)
    assert (letter.reason, letter.size, len(letter.preview)) == ("too_large", 20_000_000, 200)
    assert 10 < len(letter.history) < 20


async def test_the_reason_may_say_anything(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        send(corner, b"\xff\x00", message_id="m-1", headers={"x-mycelium-reason": "forged"})
        async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
            with anyio.fail_after(PATIENCE):
                assert await bury(broker, await consumer.get(), "odd", "half a \ud800" + "x" * 5000)
        (letter,) = await list_letters(broker, 10)
    assert letter.reason == "odd"
    assert letter.says.startswith("half a ?x")
    assert len(letter.says) == 1000


async def test_what_rabbitmq_buries_itself_is_read_as_well(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        send(corner, b"late", message_id="m-1", expiration="1")
        await comes_true(corner, "dead_letters", 1)
        send(corner, b"unwanted", message_id="m-2")
        async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
            with anyio.fail_after(PATIENCE):
                await (await consumer.get()).reject()
        await comes_true(corner, "dead_letters", 2)
        late, unwanted = await list_letters(broker, 10)
        assert (late.id, late.reason, late.queue) == ("m-1", "expired", corner.queue("agent_tasks"))
        assert (unwanted.id, unwanted.reason, unwanted.routing_key) == ("m-2", "rejected", "task.created")
        assert late.at is not None
        await replay_letters(broker, ["m-1", "m-2"])
        async with broker.consume(corner.queue("agent_tasks"), 2) as consumer:
            assert sorted(await taken(consumer, 2)) == [b"late", b"unwanted"]


STRANGE: list[dict[str, Any]] = [
    {},
    {"x-mycelium-reason": 7, "x-mycelium-at": "soon", "x-mycelium-history": "{", "x-mycelium-replayed": "many"},
    {"x-mycelium-reason": "a", "x-mycelium-history": "[" * 60_000},
    {"x-death": "no list"},
    {"x-death": [{"reason": 5, "routing-keys": [], "count": -1}]},
]


@pytest.mark.parametrize("headers", STRANGE)
async def test_a_letter_that_anybody_wrote_can_be_read(corner: Names, headers: dict[str, Any]) -> None:
    async with connected(corner.settings()) as broker:
        with closing(corner.server.plain()) as connection:
            properties = pika.BasicProperties(headers=headers)
            connection.channel().basic_publish("", corner.queue("dead_letters"), b"\xff", properties)
        await comes_true(corner, "dead_letters", 1)
        (letter,) = await list_letters(broker, 10)
        assert letter.reason
        assert json.loads(letter.model_dump_json())
        assert len(await drop_letters(broker, None)) == 1


async def test_listing_changes_neither_number_nor_order(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for number in range(20):
            await publish(broker, str(number))
        async with broker.consume(corner.queue("agent_tasks"), 20) as consumer:
            with anyio.fail_after(PATIENCE):
                for _ in range(20):
                    await bury(broker, await consumer.get(), "odd", "")
        for _ in range(4):
            assert [each.id for each in await list_letters(broker)] == [str(number) for number in range(20)]
            assert waiting(corner, "dead_letters") == 20
        assert await count_letters(broker) == 20
        dropped = await drop_letters(broker, ["4", "7", "none"])
        assert [each.id for each in dropped] == ["4", "7"]
        await comes_true(corner, "dead_letters", 18)


async def test_a_letter_about_a_task_is_for_whoever_can_try_the_task_again(corner: Names) -> None:
    asked: list[str | None] = []

    fates: dict[str | None, Fate] = {"task-1": "seen to", "task-2": "sent", "task-3": "kept"}

    async def again(letter: Letter) -> Fate:
        asked.append(letter.task)
        return fates[letter.task]

    async with connected(corner.settings()) as broker:
        for task in (*fates, None):
            send(corner, b"{}", message_id=f"m-{task}")
            await bury_next(broker, corner, task=task)
        assert len(await replay_letters(broker, None, again)) == 3
        (kept,) = await list_letters(broker)
    assert asked == ["task-1", "task-2", "task-3"]
    assert kept.task == "task-3"
    assert waiting(corner, "agent_tasks") == 2


async def test_a_burial_waits_for_a_broker_that_is_away(corner: Names) -> None:
    async with through(corner) as (proxy, settings), connected(settings) as broker:
        send(corner, b"hello", message_id="m-1")
        async with broker.consume(corner.queue("agent_tasks"), 1) as consumer:
            with anyio.fail_after(PATIENCE):
                delivery = await consumer.get()
                proxy.cut()
                if not await bury(broker, delivery, "not_json", ""):  # then it comes again
                    assert await bury(broker, await consumer.get(), "not_json", "")
        await comes_true(corner, "agent_tasks", 0)
    assert waiting(corner, "dead_letters") >= 1


async def test_a_grave_that_was_deleted_is_dug_again(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        with closing(corner.server.plain()) as connection:
            connection.channel().queue_delete(corner.queue("dead_letters"))
        send(corner, b"hello", message_id="m-1")
        await bury_next(broker, corner)
        assert await count_letters(broker) == 1


QUEUES = ("agent_tasks", "agent_coordination.intake", "system_events.intake", "agent_responses", "system_events",
          "user_notifications", "agent_coordination")  # fmt: skip


async def test_only_what_is_asked_of_us_becomes_a_letter_when_nobody_takes_it(corner: Names) -> None:
    async with connected(corner.settings()) as broker:
        for suffix in QUEUES:
            await broker.publish(corner.queue(suffix), b"{}", message_id=suffix, exchange="", expiration=1)
        for suffix in QUEUES:
            await comes_true(corner, suffix, 0)
        await comes_true(corner, "dead_letters", 2)
        letters = await list_letters(broker)
    assert {each.id for each in letters} == set(QUEUES[:2])
    assert {each.reason for each in letters} == {"expired"}


async def test_a_letter_is_found_and_dropped_however_many_there_are(
    corner: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(corner.settings()) as broker:
        for number in range(30):
            await broker.publish(corner.queue("dead_letters"), b"{}", message_id=str(number), exchange="")
        for name, few in (("IN_SIGHT", 10), ("MOST", 20)):  # the number that a consumer may have at once, too
            monkeypatch.setattr(queue, name, few)
        assert [each.id for each in await find_letters(broker, ["29", "3", "none"])] == ["3", "29"]
        assert [each.id for each in await drop_letters(broker, ["28"])] == ["28"]
        assert [each.id for each in await find_letters(broker, ["28", "29"])] == ["29"]
        await comes_true(corner, "dead_letters", 29)
