"""The URL that opens Redis as the settings say: everything a backend needs travels in it."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from mycelium.errors import InvalidConfig
from mycelium.settings import Configuration, Origin

SECTION: Final = "coordination.redis"
IN_QUERY: Final = (
    "connection_timeout_seconds",
    "operation_timeout_seconds",
    "retry_attempts",
    "retry_delay_ms",
)


def redis_url(config: Configuration) -> str:
    """The configured address with everything else that is configured. It may hold a password.

    What the address itself says of password or database counts, unless a higher origin says otherwise.

    Raises:
        InvalidConfig: two settings of one origin contradict each other.
    """
    redis = config.settings.coordination.redis
    parts = urlsplit(redis.url)
    settings = {"namespace": config.namespace} | {name: str(getattr(redis, name)) for name in IN_QUERY}
    query = urlencode(settings | dict(parse_qsl(parts.query, keep_blank_values=True)))
    return parts._replace(netloc=_netloc(config, parts), path=_path(config, parts), query=query).geturl()


def _netloc(config: Configuration, parts: SplitResult) -> str:
    user, _, hosts = parts.netloc.rpartition("@")
    name, colon, inside = user.partition(":")
    secret = config.settings.coordination.redis.password
    beside = quote(secret.get_secret_value(), safe="") if secret else ""
    password = _chosen(config, "password", inside if colon else None, beside or None)
    return hosts if not (name or password) else f"{name}{f':{password}' if password else ''}@{hosts}"


def _path(config: Configuration, parts: SplitResult) -> str:
    inside = parts.path.strip("/")
    beside = str(config.settings.coordination.redis.db) if config.given(f"{SECTION}.db") else None
    db = _chosen(config, "db", str(int(inside)) if inside else None, beside) or "0"
    if parts.scheme == "redis+cluster" and db != "0":
        raise InvalidConfig(
            f"{SECTION}.db is {db}, but a cluster has database 0 only.",
            hint="Leave it out, and use a namespace to tell projects apart.",
            settings=[f"{SECTION}.db"],
        )
    return f"/{db}"


def _chosen(config: Configuration, name: str, inside: str | None, beside: str | None) -> str | None:
    """What counts of what stands in the address and what stands beside it."""
    if not inside or not beside or inside == beside:
        return inside or beside
    here, there = config.origin(f"{SECTION}.{name}"), config.origin(f"{SECTION}.url")
    if here.rank == there.rank:
        raise _contradiction(name, here, there)
    return beside if here.rank > there.rank else inside


def _contradiction(name: str, here: Origin, there: Origin) -> InvalidConfig:
    return InvalidConfig(
        f"{SECTION}.{name} ({here}) is another than the one in {SECTION}.url ({there}).",
        hint="Say it in one of the two places.",
        settings=[f"{SECTION}.{name}", f"{SECTION}.url"],
    )
