"""The URL that opens Redis as the settings say: everything a backend needs travels in it."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from mycelium.settings import Configuration
from mycelium.settings.addresses import SETTINGS, SOCKET, joined


def redis_url(config: Configuration) -> str:
    """The configured address with everything else that is configured. It may hold a password."""
    redis = config.settings.coordination.redis
    parts = urlsplit(redis.url)
    in_force = {"namespace": config.namespace} | {name: str(getattr(redis, name)) for name in SETTINGS[1:]}
    query = urlencode(dict(parse_qsl(parts.query)) | in_force)
    path = parts.path if parts.scheme == SOCKET else f"/{redis.db}"
    return joined(parts.scheme, _netloc(config, parts), path, query)


def _netloc(config: Configuration, parts: SplitResult) -> str:
    login, _, hosts = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    secret = config.settings.coordination.redis.password
    password = f":{quote(secret.get_secret_value(), safe='')}" if secret and secret.get_secret_value() else ""
    return f"{user}{password}@{hosts}" if user or password else hosts
