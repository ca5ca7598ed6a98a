"""A store in Redis as one process has it open."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium_backends.redis import open_backend


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Mycelium]:
    """A client, named ada, of a backend of its own."""
    backend = await open_backend(url, system_clock)
    try:
        async with Mycelium.over(backend, agent="ada", background=False) as client:
            yield client
    finally:
        await backend.aclose()
