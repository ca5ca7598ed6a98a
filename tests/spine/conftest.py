"""Where these tests keep their stores: everything that must hold is tried on every backend that processes share."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import pytest

from tests.support.redis import RedisServer

NewStore: TypeAlias = Callable[[], str]
"""Gives the URL of a store that is not there yet, another one at each call."""


@pytest.fixture(params=["sqlite", "redis", "markdown"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        return lambda: server.url(f"spine-{uuid4().hex}")
    ending = {"sqlite": ".db", "markdown": ""}[request.param]
    numbers = count()
    return lambda: f"{request.param}://{tmp_path}/store-{next(numbers)}{ending}".replace("sqlite://", "sqlite:///")
