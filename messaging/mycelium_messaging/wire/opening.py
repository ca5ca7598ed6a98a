"""How a connection is opened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from mycelium.settings.network import RabbitMQ
from mycelium_messaging.address import host_of, port_of, trust_of
from mycelium_messaging.wire.cut import CLOSING, cut_by
from mycelium_messaging.wire.waits import Pika
from mycelium_messaging.wire.wire import Wire


@asynccontextmanager
async def connected(settings: RabbitMQ, name: str) -> AsyncGenerator[Wire]:
    """A connection that is closed at the end.

    Raises:
        Cut: it could not be made.
        InvalidConfig
    """
    wire = await _connect(settings, name)
    try:
        yield wire
    finally:
        with anyio.CancelScope(shield=True):
            await wire.close()


async def _connect(settings: RabbitMQ, name: str) -> Wire:
    from pika.adapters.asyncio_connection import AsyncioConnection

    greeting: list[Pika] = []

    class Gathering(AsyncioConnection):
        """Is remembered before it is open, which is when pika shows it. Sends what one turn of the loop says as one."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._said: list[bytes] = []  # pika would make a call of the system for each part of each message
            super().__init__(*args, **kwargs)
            greeting.append(self)

        def _adapter_emit_data(self, data: bytes) -> None:
            if not self._said:
                asyncio.get_running_loop().call_soon(self._emit_all)
            self._said.append(data)

        def _emit_all(self) -> None:
            data = b"".join(self._said)
            self._said.clear()
            if not self.is_closed:
                sender: Pika = super()
                sender._adapter_emit_data(data)  # noqa: SLF001  pika's own adapters are made by overriding this

    made: asyncio.Future[Pika] = asyncio.get_running_loop().create_future()
    parameters = await anyio.to_thread.run_sync(_parameters, settings, name)
    attempt: Pika = Gathering.create_connection([parameters], made.set_result)
    try:
        found = await asyncio.shield(made)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await _give_up(attempt, greeting, made)
        raise
    if not isinstance(found, AsyncioConnection):  # but one of pika's errors, or even only its class
        raise cut_by(found if isinstance(found, BaseException) else ConnectionAbortedError())
    return Wire(found, settings.connection_timeout_seconds)


async def _give_up(attempt: Pika, greeting: list[Pika], made: asyncio.Future[Pika]) -> None:
    """End what was begun, so that no socket stays behind."""
    begun = [each for each in greeting if not each.is_closed]
    for each in begun:  # aborting the attempt itself fails an assertion of pika's once the two ends greet each other
        if not each.is_closing:
            each.close()
    if not begun and not made.done():
        attempt.abort()
    with anyio.move_on_after(CLOSING):
        await made


def _parameters(settings: RabbitMQ, name: str) -> Pika:
    import pika

    patience = settings.connection_timeout_seconds
    context = trust_of(settings)
    host = host_of(settings)
    return pika.ConnectionParameters(
        host=host,
        port=port_of(settings),
        virtual_host=settings.vhost,
        credentials=pika.PlainCredentials(settings.username, settings.password.get_secret_value()),
        ssl_options=pika.SSLOptions(context, host) if context else None,
        heartbeat=settings.heartbeat_seconds,
        socket_timeout=patience,
        stack_timeout=patience,
        connection_attempts=1,
        client_properties={"connection_name": name, "product": "Mycelium"},
    )


def hush_pika() -> None:
    """Keep pika from logging each loss with tracebacks: we tell of it once, in a sentence."""
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
