"""The way to the server: connecting, deadlines, trying again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias, TypeVar, cast

from redis import exceptions as said
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mycelium_backends.redis.address import Address
from mycelium_backends.redis.errors import may_pass, translated
from mycelium_backends.redis.scripts import Script

T = TypeVar("T")

Client: TypeAlias = "Redis | RedisCluster"
Argument: TypeAlias = "str | bytes | float | int"
BYTES_PER_SECOND: Final = 1_000_000
"""What a call brings along prolongs its deadline, at this speed."""
LONGEST_DELAY: Final = 5.0
"""Seconds between two tries, at most."""


def client_at(address: Address, stack: AsyncExitStack) -> Client:
    """A client that connects when it is first used. Deadlines and repetition are ours, so the driver has none.

    `stack` closes what the client itself does not.
    """
    settings: dict[str, Any] = {
        **address.tls,
        "username": address.username,
        "password": address.password,
        "socket_timeout": None,
        "socket_connect_timeout": address.settings.connection_timeout_seconds,
    }
    retry = Retry(NoBackoff(), 0)
    match address.form:
        case "redis+cluster":
            nodes = [ClusterNode(host, port) for host, port in address.hosts]
            return RedisCluster(startup_nodes=nodes, **settings)
        case "redis+sentinel":
            settings["db"] = int(address.path or 0)
            sentinel = Sentinel(
                address.hosts, sentinel_kwargs={"socket_connect_timeout": settings["socket_connect_timeout"]}
            )
            stack.push_async_callback(_close_all, sentinel)
            name = address.settings.service
            return sentinel.master_for(name, retry=retry, **settings)  # pyright: ignore[reportUnknownMemberType]
        case "redis+unix":
            return Redis(unix_socket_path=address.path, retry=retry, **settings)
        case _:
            ((host, port),) = address.hosts
            tls = address.form == "rediss"
            return Redis(host=host, port=port, db=int(address.path or 0), ssl=tls, retry=retry, **settings)


class Connection:
    """Calls with a deadline, repeated a few times where the server was away for a moment."""

    def __init__(self, address: Address) -> None:
        self._stack = AsyncExitStack()
        self.client = client_at(address, self._stack)
        self.url = address.public
        self._settings = address.settings
        self._meta = f"{address.prefix}store:meta"
        self._answered = False

    async def run(self, script: Script, *args: Argument) -> Any:
        """What the script answers.

        Raises:
            StoreError: the server cannot be reached, or refuses; nothing of the script was done then, unless the
            connection was lost on the way.
        """

        async def call() -> Any:
            try:
                return await self.client.evalsha(script.sha, 1, self._meta, *args)
            except said.NoScriptError:
                await self.client.script_load(script.text)
                return await self.client.evalsha(script.sha, 1, self._meta, *args)

        return await self.call(call, size=sum(len(each) for each in args if isinstance(each, str | bytes)))

    async def command(self, *words: Argument) -> Any:
        """What the server answers to one command that may be repeated."""
        client = cast("Any", self.client)  # whose types are incomplete
        return await self.call(lambda: client.execute_command(*words))

    async def call(self, act: Callable[[], Awaitable[T]], *, size: int = 0) -> T:
        """Have this done, within its time, repeated where that may help."""
        tries = self._settings.retry_attempts
        patience = self._settings.operation_timeout_seconds + size / BYTES_PER_SECOND
        for number in range(tries + 1):
            connecting = 0.0 if self._answered else self._settings.connection_timeout_seconds
            try:
                async with asyncio.timeout(patience + connecting):
                    answer = await act()
                self._answered = True
                return answer
            except Exception as error:
                if number == tries or not may_pass(error):
                    raise translated(error, self.url) from error
                if isinstance(error, said.ReadOnlyError):
                    await self._forget_connections()
            await asyncio.sleep(self._delay(number))
        raise AssertionError

    def _delay(self, number: int) -> float:
        """Seconds before the next try: longer each time, and not the same for everybody."""
        return min(self._settings.retry_delay_ms / 1000 * 2**number, LONGEST_DELAY) * random.uniform(0.5, 1.5)

    async def _forget_connections(self) -> None:
        """The primary has become a replica: look for the new one."""
        if isinstance(self.client, Redis):
            await self.client.connection_pool.disconnect()

    async def aclose(self) -> None:
        await self.client.aclose()
        await self._stack.aclose()


async def _close_all(sentinel: Sentinel) -> None:
    for each in sentinel.sentinels:
        await each.aclose()
