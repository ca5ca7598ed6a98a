"""What every test gets."""

import os
from collections.abc import Generator

import pytest

from tests.support.clock import FakeClock
from tests.support.redis import RedisMissing, RedisServer, redis_server


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop the project supports."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test advances it."""
    return FakeClock()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """A server that all tests share, each in a namespace of its own; one that harms it starts its own."""
    try:
        with redis_server(tmp_path_factory.mktemp("redis")) as server:
            yield server
    except RedisMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
