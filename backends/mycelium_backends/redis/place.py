"""A store in Redis seen from outside, without opening it: nothing is written, nothing is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from redis.exceptions import RedisError

from mycelium.errors import MyceliumError
from mycelium.place import Finding, NamedPlace
from mycelium_backends.redis.address import Address, parse
from mycelium_backends.redis.errors import damaged, schema, translated
from mycelium_backends.redis.probe import Client, clients, refused
from mycelium_backends.redis.scripts import OLDER, SCHEMA, script
from mycelium_backends.redis.tongue import mistaken_form

OLDEST: Final = 7
"""The first major version whose scripts do all that ours want."""
STEP: Final = 1000
"""Keys that are looked at in one journey."""


def find_place(url: str) -> RedisPlace:
    """See `mycelium.place.FindPlace`.

    Raises:
        UnknownBackend, InvalidInput: the URL is wrong.
    """
    return RedisPlace(parse(url))


@dataclass(frozen=True, slots=True)
class RedisPlace(NamedPlace):
    """See `mycelium.place.Place`."""

    address: Address

    @property
    def url(self) -> str:
        return self.address.public

    def exists(self) -> bool:
        try:
            with closing(self._client()) as client:
                return bool(self._with_keys(client).exists(f"{self.address.prefix}store:meta"))
        except (RedisError, OSError) as error:
            raise self._problem(error) from error

    def examine(self) -> list[Finding]:
        try:
            with closing(self._client()) as client:
                return [*_server(client.info()), *self._store(self._with_keys(client))]
        except (RedisError, OSError) as error:
            problem = self._problem(error)
            return [Finding("server", problem.message, "fail", problem.hint)]

    def _problem(self, error: Exception) -> MyceliumError:
        mistaken = mistaken_form(self.address, error)
        return refused(self.address, mistaken) if mistaken else translated(error, self.url)

    def _client(self) -> Client:
        """The first that answers; else the last, for what it says."""
        found = None
        for client in clients(self.address):
            found = client
            try:
                client.ping()
            except (RedisError, OSError):
                client.close()
            else:
                break
        return found

    def _with_keys(self, client: Client) -> Client:
        """The same; in a cluster, one that finds the node which has the store."""
        if self.address.form != "redis+cluster":
            return client
        from redis.cluster import RedisCluster

        told = client.get_connection_kwargs()
        return RedisCluster(**{name: told[name] for name in ("host", "port", "username", "password")})

    def _store(self, client: Client) -> Iterator[Finding]:
        strays = [*self._strays(client)]
        yield from strays
        if not strays:
            yield from self._contents(client)

    def _strays(self, client: Client) -> Iterator[Finding]:
        """What other programs have put where the store's own belongs."""
        prefix = self.address.prefix
        keys = client.scan_iter(match=f"{prefix}*", count=STEP)
        text = script("examine").text
        while some := [*islice(keys, STEP)]:
            for key, wanted in client.eval(text, len(some) + 1, f"{prefix}store:meta", *some):
                said = f"{key.decode(errors='replace')} is not a {wanted.decode()}"
                problem = damaged(self.url, said)
                yield Finding("key", problem.message, "fail", problem.hint)

    def _contents(self, client: Client) -> Iterator[Finding]:
        meta: Mapping[bytes, bytes] = client.hgetall(f"{self.address.prefix}store:meta")
        if not meta:
            yield Finding("store", "not there yet; the first agent or `mycelium create` makes it")
            return
        found = meta.get(b"schema", b"none").decode()
        if found not in (SCHEMA, *OLDER):
            problem = schema(self.url, found)
            yield Finding("schema", problem.message, "fail", problem.hint)
            return
        yield Finding("schema", found if found == SCHEMA else f"{found}; whoever opens it next makes it {SCHEMA}")
        yield Finding("content", self._content(client, meta))

    def _content(self, client: Client, meta: Mapping[bytes, bytes]) -> str:
        store = f"{self.address.prefix}store:"
        counts = {name: client.zcard(f"{store}{name}") for name in ("tasks", "agents", "workflows")}
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        return f"{said}, {int(meta.get(b'seq', 0))} events"


def _server(info: Mapping[str, Any]) -> Iterator[Finding]:
    """What the server says of itself that matters for what is stored."""
    kind, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    old = kind == "Redis" and int(str(version).partition(".")[0]) < OLDEST
    yield Finding(
        "server", f"{kind} {version}", "fail" if old else "ok", f"Update it to {OLDEST} or newer." if old else ""
    )
    yield _persistence(info)
    yield _eviction(info)
    if info.get("role") == "slave":
        yield Finding("role", "a replica, which takes no writes", "fail", "Name the primary, or Sentinel.")


def _persistence(info: Mapping[str, Any]) -> Finding:
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status") == "ok":
            return Finding("persistence", "append-only file")
        return Finding("persistence", "the append-only file cannot be written", "fail", "Make room on its disk.")
    if info.get("rdb_last_bgsave_status") != "ok":
        return Finding(
            "persistence", "the last snapshot failed", "fail", "See the server's log; make room on its disk."
        )
    return Finding(
        "persistence",
        "snapshots at best: what was stored since the last one is lost in a crash",
        "warn",
        "Switch the append-only file on: redis-cli CONFIG SET appendonly yes, and the same in redis.conf.",
    )


def _eviction(info: Mapping[str, Any]) -> Finding:
    policy, most = info.get("maxmemory_policy", "noeviction"), info.get("maxmemory", 0)
    if policy == "noeviction" or not most:
        return Finding("eviction", "nothing is removed to make room")
    return Finding(
        "eviction",
        f"{policy}: the server may remove parts of the store to make room",
        "fail",
        "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.",
    )
