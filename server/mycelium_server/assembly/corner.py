"""A corner of a broker that only one run has: an exchange and queues of its own, which are gone when it is over."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import anyio

from mycelium import MyceliumError
from mycelium.settings import Surroundings, configuration
from mycelium.settings.network import RabbitMQ
from mycelium_messaging.address import address_of, port_of, settings_at
from mycelium_messaging.background import background
from mycelium_messaging.connection import Broker, open_broker
from mycelium_messaging.names import AGENT_RESPONSES, PASSING, queue
from mycelium_messaging.removal import remove_topology
from mycelium_messaging.survey import survey

log = logging.getLogger("mycelium.demo")

PREFETCH: Final = 100
TRUST: Final = ("ca_file", "cert_file", "key_file")
LATE: Final = 5.0
"""Seconds to wait for answers that are on their way."""


class Corner:
    """What a run over RabbitMQ has to know of its corner, and the answers that came there."""

    def __init__(self, settings: RabbitMQ) -> None:
        self._settings = settings
        self._news = anyio.Event()
        self.address = address_of(settings)
        """For people: without the password."""
        self.answers: Counter[str] = Counter()
        """By the type of the message."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What leads another process here. It holds the password."""
        settings = self._settings
        return {
            "RABBITMQ_HOST": settings.host or "",
            "RABBITMQ_PORT": str(port_of(settings)),
            "RABBITMQ_VHOST": settings.vhost,
            "RABBITMQ_USERNAME": settings.username,
            "RABBITMQ_PASSWORD": settings.password.get_secret_value(),
            "RABBITMQ_TLS": str(settings.tls).lower(),
            "RABBITMQ_EXCHANGE": settings.exchange,
            "RABBITMQ_QUEUE_PREFIX": settings.queue_prefix,
            "MYCELIUM_RABBITMQ_QUEUE_TYPE": settings.queue_type,
            **{f"MYCELIUM_RABBITMQ_{name.upper()}": file for name in TRUST if (file := getattr(settings, name))},
        }

    async def answered(self, type: str, times: int) -> int:
        """How many answers of this type have come; so many are waited for, but not for long."""
        with anyio.move_on_after(LATE):
            while self.answers[type] < times:
                await self._news.wait()
        return self.answers[type]

    async def listen(self, broker: Broker) -> None:
        """Take in answers for ever."""
        async with broker.consume(queue(self._settings, AGENT_RESPONSES), PREFETCH) as consumer:
            while True:
                delivery = await consumer.get()
                self.answers[delivery.type or ""] += 1
                await delivery.ack()
                self._news.set()
                self._news = anyio.Event()


def _trust() -> dict[str, str | None]:
    """The files that TLS needs, which no URL names, as they are configured here."""
    configured = configuration(Surroundings.here()).settings.rabbitmq
    return {name: getattr(configured, name) for name in TRUST}


@asynccontextmanager
async def corner_at(url: str, name: str) -> AsyncGenerator[Corner]:
    """A corner of this name at the broker of this URL; exchange and queues are deleted at the end.

    The name begins with `PASSING`: so they go by themselves where the end is a crash.

    Raises:
        InvalidInput: it is no URL of a broker.
        InvalidConfig: the configuration is wrong.
        BrokerAway, BrokerRefused: the broker cannot be used.
    """
    # Classic queues, since they are declared in no time, and what is in them is worth nothing afterwards.
    assert name.startswith(PASSING), name
    names = {"exchange": name, "queue_prefix": name, "queue_type": "classic"}
    settings = settings_at(url, **names, **await anyio.to_thread.run_sync(_trust))
    await survey(settings, name, declares=True)
    async with open_broker(settings, name=name, declares=False) as broker:
        corner = Corner(settings)
        try:
            async with background() as tasks:
                tasks.start_soon(corner.listen, broker)
                yield corner
        finally:
            await _clear(broker)


async def _clear(broker: Broker) -> None:
    with anyio.move_on_after(LATE, shield=True):
        try:
            await remove_topology(broker)
        except MyceliumError as error:
            log.warning("the queues %s.* are left behind: %s", broker.settings.queue_prefix, error)
        return
    log.warning("the queues %s.* are left behind: there was no connection", broker.settings.queue_prefix)
