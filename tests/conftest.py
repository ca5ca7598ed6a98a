"""What every test gets."""

import os
from collections.abc import Generator

import pytest

from tests.support.clock import FakeClock
from tests.support.rabbitmq import Names, RabbitMissing, RabbitServer, rabbit_server
from tests.support.redis import RedisMissing, RedisServer, redis_server


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Half as many processes again as there are cores: a third of its time, each waits for others or for a moment."""
    cores = yield
    return cores + cores // 2


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


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitServer]:
    """A node that all tests of one process share, each under names of its own; one that harms it starts its own."""
    try:
        with rabbit_server(tmp_path_factory.mktemp("rabbitmq")) as server:
            yield server
    except RabbitMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def corner(rabbitmq: RabbitServer) -> Generator[Names]:
    """Names at the shared node that no other test uses; what is declared under them is deleted afterwards."""
    names = Names(rabbitmq)
    yield names
    names.remove()
