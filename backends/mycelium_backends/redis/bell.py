"""The bell between processes: every commit says so on a channel that all of them hear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, cast

from redis.asyncio import Redis, RedisCluster

from mycelium_backends.bell import Bells, LocalBell
from mycelium_backends.redis.connection import Client, Connection

log = logging.getLogger("mycelium.redis")

REST: Final = 0.5
"""Seconds before one listens again after the connection was lost."""
AGAIN: Final = 5.0
"""Seconds after which everybody looks even if nothing was heard: a connection can be dead without a word."""


class Listener:
    """Listens from the first bell on, with one connection however many there are."""

    def __init__(self, connection: Connection, channel: str) -> None:
        self._connection = connection
        self._channel = channel
        self._bells = Bells()
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    @asynccontextmanager
    async def hang(self) -> AsyncGenerator[LocalBell]:
        """A bell for the time of this context."""
        with self._bells.hang() as bell:
            if self._task is None:
                self._task = asyncio.create_task(self._listen(), name="mycelium-redis-bell")
            with suppress(TimeoutError):
                async with asyncio.timeout(REST):
                    await self._listening.wait()  # what happens from here on is heard
            yield bell

    async def aclose(self) -> None:
        """Stop listening, and let everybody look once more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._bells.ring()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001 - a boundary: whatever it was, it is tried again
                log.info("listening for changes was cut off and begins anew: %s", error)
            self._listening.clear()
            self._bells.ring()
            await asyncio.sleep(REST)

    async def _listen_once(self) -> None:
        async with _subscriber(self._connection.client) as subscriber:
            silent = 0
            async with asyncio.timeout(AGAIN):
                await subscriber.subscribe(self._channel)
            while silent < 2:
                async with asyncio.timeout(2 * AGAIN):
                    message = await subscriber.get_message(timeout=AGAIN)
                    silent = 0 if message else silent + 1
                    if silent:
                        await subscriber.ping()  # whose answer is a message: a server that is gone gives none
                if message is not None and message["type"] == "subscribe":
                    self._listening.set()
                self._bells.ring()


@asynccontextmanager
async def _subscriber(client: Client) -> AsyncGenerator[Any]:
    """A connection that hears channels. In a cluster, any node passes on what is said at any other."""
    if isinstance(client, RedisCluster):
        await client.initialize()
        node = client.get_default_node()
        single = Redis(**cast("dict[str, Any]", {**client.connection_kwargs, "host": node.host, "port": node.port}))
        async with single, _pubsub(single) as subscriber:
            yield subscriber
    else:
        async with _pubsub(client) as subscriber:
            yield subscriber


def _pubsub(client: Redis) -> AbstractAsyncContextManager[Any]:
    return client.pubsub()  # pyright: ignore[reportUnknownMemberType] - its types are incomplete
