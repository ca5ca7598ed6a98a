"""The Redis backend keeps the contract, through two clients of one server wherever two agents meet."""

from hashlib import sha1
from pathlib import Path

import pytest

from mycelium.backend import Backend
from mycelium_backends.redis import open_backend
from tests.contract.suite import BackendContract, DurableContract
from tests.support.clock import FakeClock
from tests.support.redis import RedisServer


class TestRedis(BackendContract, DurableContract):
    server: RedisServer

    @pytest.fixture(autouse=True)
    def use_server(self, redis: RedisServer) -> None:
        self.server = redis

    async def open(self, place: Path, clock: FakeClock) -> Backend:
        return await open_backend(self.server.url(namespace_for(place)), clock)


def namespace_for(place: Path) -> str:
    """A namespace that belongs to this folder alone."""
    return sha1(str(place).encode(), usedforsecurity=False).hexdigest()
