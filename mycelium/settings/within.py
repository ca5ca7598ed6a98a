"""What Redis's address says beside where it is: password, database, namespace and patience. Said by whoever said it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr, ValidationError

from mycelium.errors import InvalidConfig
from mycelium.settings.addresses import SETTINGS, SOCKET
from mycelium.settings.model import Redis, Settings
from mycelium.settings.origin import Origin
from mycelium.settings.problems import explained

SECTION: Final = "coordination.redis"
URL: Final = f"{SECTION}.url"
ONE_DATABASE: Final[Mapping[str, str]] = {"redis+cluster": "a cluster", SOCKET: "a store behind a socket"}
"""Forms of the address in which no number of a database has a place."""


def with_address(settled: Settings, origins: Mapping[str, Origin]) -> tuple[Settings, Mapping[str, Origin]]:
    """The settings with what the address says counting as theirs, unless a higher origin says otherwise.

    Raises:
        InvalidConfig: the address and another setting of the same origin contradict each other; or the database has a
            number, where there is but one.
    """
    redis = settled.coordination.redis
    told_by = origins.get(URL, Origin())
    said = _said_in(redis.url, told_by)
    counts = {name: value for name, value in said.items() if _counts(name, value, redis, told_by, origins)}
    in_force = redis.model_copy(update=counts)
    all_origins = {**origins, **{f"{SECTION}.{name}": told_by for name in counts}}
    _check_database(in_force, all_origins)
    coordination = settled.coordination.model_copy(update={"redis": in_force})
    return settled.model_copy(update={"coordination": coordination}), all_origins


def _said_in(url: str, told_by: Origin) -> Mapping[str, Any]:
    """What the address says, by the names of settings, each as its type wants it."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    beside = {
        "password": unquote(login.partition(":")[2]),
        "db": "" if parts.scheme == SOCKET else parts.path.strip("/"),
    }
    query = {name: value for name, value in parse_qsl(parts.query, keep_blank_values=True) if name in SETTINGS}
    said = query | {name: value for name, value in beside.items() if value}
    try:
        read = Redis.model_validate(said)
    except ValidationError as error:
        raise explained(error, lambda _: told_by, within=URL) from None
    return {name: getattr(read, name) for name in said}


def _counts(name: str, value: Any, redis: Redis, told_by: Origin, origins: Mapping[str, Origin]) -> bool:
    beside, other = getattr(redis, name), origins.get(f"{SECTION}.{name}", Origin())
    if _is_empty(beside):
        return True
    if other.rank == told_by.rank and beside != value:
        raise InvalidConfig(
            f"{SECTION}.{name} ({other}) is another than the one in {URL} ({told_by}).",
            hint="Say it in one of the two places.",
            settings=[f"{SECTION}.{name}", URL],
        )
    return other.rank < told_by.rank


def _is_empty(value: Any) -> bool:
    """Whether this leaves the matter open, as `"password": null` does."""
    return value is None or (isinstance(value, SecretStr) and not value.get_secret_value())


def _check_database(redis: Redis, origins: Mapping[str, Origin]) -> None:
    kind = ONE_DATABASE.get(urlsplit(redis.url).scheme)
    if kind is not None and redis.db:
        raise InvalidConfig(
            f"{SECTION}.db ({origins[f'{SECTION}.db']}) is {redis.db}, but {kind} has database 0 only.",
            hint="Leave it out, and use a namespace to tell projects apart.",
            settings=[f"{SECTION}.db"],
        )
