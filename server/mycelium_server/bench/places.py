"""Where a run keeps its store: always a new one, which is removed at its end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import anyio

from mycelium.errors import InvalidInput
from mycelium_server.bench.raw_files import RawFiles
from mycelium_server.bench.raw_sqlite import RawSqlite
from mycelium_server.bench.team import Team

AGENTS: Final = {"memory": 100, "sqlite": 50, "markdown": 20, "redis": 100, "rediss": 100}
"""By the kind of store: how many agents the figures are told for."""
CALLS: Final = {"memory": 1000, "sqlite": 3000, "markdown": 1000, "redis": 3000, "rediss": 3000}
"""By the kind of store: how many calls of each kind are worth waiting for."""


SWEEP_WITHIN: Final = 30.0
"""Seconds to remove what a run left in a server."""
SIZES: Final = "sizes"
"""The folder of the store that shows how stores grow."""


class RawTeam(Team, Protocol):
    """The bare driver."""

    says: str
    """What it is."""

    async def aclose(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """A new store, and the means to compare it."""

    kind: str
    url: str
    shown: str
    """Where it is, as a person may read it."""
    folder: Path
    """Of this run alone."""
    raw: Callable[[int], RawTeam] | None
    """Makes the bare driver's team for so many agents; None where there is nothing to compare with."""
    url_of_sizes: str
    """Another new store there, to see how it grows."""
    server: Any = None
    """A plain client of the server that keeps the store, where one does."""
    prefix: str = ""
    """What the keys of this run begin with in that server."""


def kind_of(backend: str) -> str:
    """The kind of store that `--backend` asks for.

    Raises:
        InvalidInput: it cannot be measured.
    """
    kind = backend.partition(":")[0]
    if kind not in AGENTS:
        raise InvalidInput(
            f"mycelium bench cannot measure {kind[:40]!r}.",
            hint=f"Use one of: {', '.join(sorted(AGENTS))}; or redis://HOST:PORT/DB for a server.",
            fields=["backend"],
        )
    if kind not in {"redis", "rediss"} and backend not in {kind, f"{kind}:"}:
        raise InvalidInput(
            f"mycelium bench measures {kind} in a new folder only, never in a store that may be somebody's.",
            hint=f"Use --backend {kind}; TMPDIR says on which disk.",
            fields=["backend"],
        )
    return kind


@asynccontextmanager
async def ground_for(backend: str) -> AsyncGenerator[Ground]:
    """A new store for the time of this context. Nothing of it is left, however the context ends."""
    kind = kind_of(backend)
    folder = Path(tempfile.mkdtemp(prefix="mycelium-bench-"))
    try:
        if kind in {"redis", "rediss"}:
            async with _on_server(backend, folder) as ground:
                yield ground
        else:
            yield _in_folder(kind, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_folder(kind: str, folder: Path) -> Ground:
    match kind:
        case "memory":
            return Ground(kind, "memory:", "memory", folder, raw=None, url_of_sizes="memory:")
        case "sqlite":
            shown, raw, file = f"a new file in {folder.parent}", partial(RawSqlite, folder), "store.db"
        case _:
            shown, raw, file = f"a new folder in {folder.parent}", partial(RawFiles, folder), "store"
    url, url_of_sizes = (f"{kind}:///{quote(str(folder / name / file))}" for name in ("calls", SIZES))
    return Ground(kind, url, shown, folder, raw, url_of_sizes)


@asynccontextmanager
async def _on_server(backend: str, folder: Path) -> AsyncGenerator[Ground]:
    from redis.asyncio import Redis

    from mycelium_server.bench.raw_redis import RawRedis

    address = _address(backend)
    namespace = f"bench-{uuid4().hex[:12]}"
    plain = address._replace(query="").geturl()
    url, url_of_sizes = (
        address._replace(query=urlencode({"namespace": each})).geturl() for each in (namespace, f"{namespace}.{SIZES}")
    )
    shown = f"namespace {namespace} on {address.hostname}:{address.port or 6379}"
    # Any: redis-py's own types are incomplete.
    server: Any = Redis.from_url(plain, decode_responses=True, socket_timeout=None)  # pyright: ignore[reportUnknownMemberType] - as above
    prefix = f"{{{namespace}}}:"
    try:
        raw = partial(RawRedis, plain, prefix)
        yield Ground(address.scheme, url, shown, folder, raw, url_of_sizes, server, prefix)
    finally:
        with anyio.move_on_after(SWEEP_WITHIN, shield=True):
            await _sweep(server, f"{{{namespace}*")
            await server.aclose()


def _address(backend: str) -> Any:
    """The server's address; for a bare `redis`, the configured one."""
    if "://" in backend:
        return urlsplit(backend)
    from mycelium.settings import Surroundings, configuration

    redis = configuration(Surroundings.here()).settings.coordination.redis
    parts = urlsplit(redis.url)
    if redis.password is not None and parts.password is None:
        user = f"{parts.username or ''}:{quote(redis.password.get_secret_value(), safe='')}"
        parts = parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}")
    return parts if parts.path.strip("/") else parts._replace(path=f"/{redis.db}")


async def _sweep(server: Any, pattern: str) -> None:
    """Remove this run's keys. A server that is gone has nothing to be removed."""
    from redis.exceptions import RedisError

    try:
        keys = [key async for key in server.scan_iter(match=pattern, count=1000)]
        for start in range(0, len(keys), 1000):
            await server.unlink(*keys[start : start + 1000])
    except (RedisError, OSError):
        pass
