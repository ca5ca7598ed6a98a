"""The SQLite backend: one machine, many processes, every commit durable."""

from mycelium_backends.sqlite.backend import SqliteBackend, open_backend
from mycelium_backends.sqlite.url import path_of, url_of

__all__ = ["SqliteBackend", "open_backend", "path_of", "url_of"]
