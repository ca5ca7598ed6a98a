"""Stores that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mycelium.settings import Configuration


def configured_redis(config: Configuration) -> str:
    """The URL of the store in Redis that is configured, with how to reach it. It may hold a password.

    Raises:
        InvalidConfig: two settings contradict each other.
    """
    from mycelium_backends.redis_url import redis_url

    return redis_url(config)
