"""The Redis backend. The server keeps everything and decides what comes first; the rules run here."""

from mycelium_backends.redis.backend import open_backend

__all__ = ["open_backend"]
