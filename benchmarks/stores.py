"""A new store of each kind. Redis gets a server of its own, where one is installed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from tests.support.redis import RedisMissing, redis_server

KINDS: Final = ("sqlite", "redis", "markdown")


@contextmanager
def new_stores(kind: str, folder: Path, *names: str) -> Generator[list[str]]:
    """The URLs of empty stores by these names; none where there is no server for them."""
    place = folder / f"{kind}-{uuid4().hex[:8]}"
    place.mkdir()
    if kind != "redis":
        yield [f"{kind}:///{place / name}{'.db' if kind == 'sqlite' else ''}" for name in names]
        return
    try:
        with redis_server(place) as server:
            yield [server.url(name) for name in names]
    except RedisMissing:
        yield []
