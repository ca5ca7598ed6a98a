"""A namespace of a run's own in a Redis server, and a plain client beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import anyio

from mycelium.settings.addresses import public
from mycelium_server.bench.ground import SIZES, Ground

SWEEP_WITHIN: Final = 30.0
"""Seconds to remove what a run left in a server."""


@asynccontextmanager
async def ground_on(url: str) -> AsyncGenerator[Ground]:
    """A new namespace in the server at this URL for the time of this context. No key of it is left."""
    from redis.asyncio import Redis

    from mycelium_server.bench.raw_redis import RawRedis

    namespace = f"bench-{uuid4().hex[:12]}"
    store, of_sizes = (in_namespace(url, each) for each in (namespace, f"{namespace}.{SIZES}"))
    plain, prefix = plain_url(url), f"{{{namespace}}}:"
    # Any: redis-py's own types are incomplete.
    server: Any = Redis.from_url(plain, decode_responses=True, socket_timeout=None)  # pyright: ignore[reportUnknownMemberType] - as above
    try:
        raw = partial(RawRedis, plain, prefix)
        yield Ground("redis", store, public(store), raw, of_sizes, server=server, plain=plain, prefix=prefix)
    finally:
        with anyio.move_on_after(SWEEP_WITHIN, shield=True):
            await _sweep(server, f"{{{namespace}*")
            await server.aclose()


def in_namespace(url: str, namespace: str) -> str:
    """The same server, reached in the same way, with another namespace."""
    address, query = _apart(url)
    return f"{address}?{urlencode({**query, 'namespace': namespace})}"


def plain_url(url: str) -> str:
    """The same server for redis-py, which takes what there is to say of TLS, and none of our settings."""
    address, query = _apart(url)
    form, _, rest = address.partition(":")
    if form == "redis+unix":
        return f"unix://{rest.removeprefix('//')}"
    tls = {name: value for name, value in query.items() if name.startswith("ssl_")} if form == "rediss" else {}
    return f"{address}?{urlencode(tls)}" if tls else address


def _apart(url: str) -> tuple[str, dict[str, str]]:
    address, _, query = url.partition("#")[0].partition("?")
    return address, dict(parse_qsl(query, keep_blank_values=True))


async def _sweep(server: Any, pattern: str) -> None:
    """Remove this run's keys. A server that is gone has nothing to be removed."""
    from redis.exceptions import RedisError

    try:
        keys = [key async for key in server.scan_iter(match=pattern, count=1000)]
        for start in range(0, len(keys), 1000):
            await server.unlink(*keys[start : start + 1000])
    except (RedisError, OSError):
        pass
