"""The Redis backend. The server keeps everything and decides what comes first; the rules run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mycelium.backend import Clock
    from mycelium_backends.redis.backend import RedisBackend


async def open_backend(url: str, clock: Clock) -> RedisBackend:
    """See `mycelium_backends.redis.backend.open_backend`. Its driver is imported only here: the probe needs less."""
    from mycelium_backends.redis.backend import open_backend

    return await open_backend(url, clock)
