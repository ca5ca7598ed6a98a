"""What goes by itself: messages in time, also while there is nowhere for dead letters to go, and a run's own queues."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import pika
import pytest

from mycelium_messaging import topology
from mycelium_messaging.letters import list_letters
from mycelium_messaging.names import PASSING
from tests.messaging.test_connection import connected, publish
from tests.support.rabbitmq import PATIENCE, Names, RabbitServer, rabbit_server

SOON = 1000
"""Milliseconds after which the broker tries again to bury what it could not. It takes three minutes otherwise."""


def publish_to_expire(corner: Names, ids: Sequence[str]) -> None:
    """Have tasks in the queue that nobody takes in time, with the dead letters' queue gone."""
    with closing(corner.server.plain()) as connection:
        channel = connection.channel()
        channel.queue_delete(corner.queue("dead_letters"))
        channel.confirm_delivery()
        for id in ids:
            channel.basic_publish(corner.name, "task.created", b"{}", expiring(id), mandatory=True)


def expiring(id: str) -> pika.BasicProperties:
    return pika.BasicProperties(message_id=id, expiration="100", delivery_mode=2)


async def nowhere_to_go(server: RabbitServer) -> None:
    """Return when the broker says that it could not bury what had expired."""
    with anyio.fail_after(PATIENCE):
        while "Cannot forward any dead-letter messages" not in server.log:  # noqa: ASYNC110  in a file
            await anyio.sleep(0.1)


async def test_what_expires_while_the_dead_letters_queue_is_gone_is_kept_for_it(tmp_path: Path) -> None:
    ids = [f"m-{number}" for number in range(20)]
    with rabbit_server(tmp_path, dead_letter_worker_publisher_confirm_timeout=SOON) as server:
        corner = Names(server)
        async with connected(corner.settings()):
            pass  # which declares all there is
        await anyio.to_thread.run_sync(publish_to_expire, corner, ids)
        await nowhere_to_go(server)
        server.kill()
        server.start()
        async with connected(corner.settings()) as broker:  # which declares what is missing
            with anyio.fail_after(PATIENCE):
                while len(letters := await list_letters(broker)) < len(ids):
                    pass  # each look takes a while
    assert sorted(letter.id for letter in letters) == sorted(ids)
    assert {letter.reason for letter in letters} == {"expired"}


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_queues_of_a_run_that_was_killed_go_by_themselves_and_their_exchanges_with_them(
    rabbitmq: RabbitServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(topology, "UNUSED_MAX", 3 * SOON)
    corner = Names(rabbitmq, f"{PASSING}{kind}")
    async with connected(corner.settings(queue_type=kind)) as broker:
        await publish(broker, "kept as long as its queue")
    with anyio.fail_after(PATIENCE):
        while await there(corner):
            pass  # each look takes a while


async def there(corner: Names) -> list[str]:
    """The exchanges and queues of this corner."""
    said = [
        await anyio.to_thread.run_sync(corner.server.control, "-q", f"list_{kind}", "name")
        for kind in ("queues", "exchanges")
    ]
    return [name for name in " ".join(said).split() if name.startswith(corner.name)]
