"""How the worker is, for those who look after processes: in a file, or over HTTP on this machine."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import SocketAttribute, SocketStream

from mycelium_worker.presence import Presence
from mycelium_worker.resting import RestingModel
from mycelium_worker.worker import Worker

log = logging.getLogger("mycelium.worker")

WRITE_EVERY: Final = 2.0
"""Seconds between two writings of the file: one that is much older tells of a worker that hangs."""
LONGEST_REQUEST: Final = 8192
REQUEST_WITHIN: Final = 5.0
REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Health:
    """Asks the worker how it is."""

    worker: Worker
    presence: Presence
    model: RestingModel | None = None
    since: float = field(default_factory=time.time)

    @property
    def connected(self) -> bool:
        """Whether the store and every source can be reached."""
        return self.presence.connected and all(source.connected for source in self.worker.sources)

    @property
    def ready(self) -> bool:
        """Whether it takes new tasks."""
        return self.status == "working"

    @property
    def status(self) -> str:
        """How it is, in a word."""
        if self.worker.stopping:
            return "draining"
        if not self.connected:
            return "disconnected"
        return "resting" if self.presence.resting or self.trouble else "working"

    @property
    def trouble(self) -> str | None:
        """Why the model answers nobody, if that is so."""
        return str(self.model.trouble) if self.model is not None and self.model.trouble is not None else None

    def as_dict(self) -> dict[str, Any]:
        """It as JSON-ready values."""
        tally = self.worker.tally
        return {
            "status": self.status,
            "agent": self.worker.client.agent,
            "pid": os.getpid(),
            "connected": self.connected,
            "sources": {source.name: source.connected for source in self.worker.sources},
            "running": self.worker.running,
            "concurrency": self.worker.concurrency,
            "done": tally.done,
            "failed": tally.failed,
            "dead_letters": dict(self.worker.buried),
            **({"model_trouble": self.trouble} if self.trouble else {}),
            "up_seconds": round(time.time() - self.since, 1),
            "at": round(time.time(), 3),
        }


@asynccontextmanager
async def health_file(health: Health, path: Path) -> AsyncGenerator[None]:
    """Keep the file up to date for the time of this context, then remove it.

    Raises:
        OSError: it cannot be written at all.
    """
    _write(path, health.as_dict())
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep_written, health, path)
            yield
            tasks.cancel_scope.cancel()
    finally:
        _remove(path)


async def _keep_written(health: Health, path: Path) -> None:
    well = True
    while True:
        await anyio.sleep(WRITE_EVERY)
        try:
            _write(path, health.as_dict())
            well = True
        except OSError as error:
            if well:
                log.warning("the health file was not written: %s", error)
            well = False


def _write(path: Path, said: dict[str, Any]) -> None:
    """Replace the file whole: a reader never sees half of it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.write_text(json.dumps(said) + "\n")
        new.replace(path)
    except OSError as error:
        _remove(new)
        raise OSError(error.errno, error.strerror, str(path)) from None  # the file that people know


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


@asynccontextmanager
async def health_port(health: Health, port: int) -> AsyncGenerator[int]:
    """Answer `GET /health` and `GET /ready` on this port of the loopback address; gives the port, for 0 a free one.

    Raises:
        OSError: the port is taken.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, partial(_answer, health))
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def _answer(health: Health, stream: SocketStream) -> None:
    """Answer one request, and close."""
    async with stream:
        with anyio.move_on_after(REQUEST_WITHIN), suppress(anyio.EndOfStream, anyio.BrokenResourceError, OSError):
            head = b""
            while b"\r\n\r\n" not in head and len(head) < LONGEST_REQUEST:
                head += await stream.receive(LONGEST_REQUEST)
            method, path = _asked(head)
            await stream.send(_reply(health, method, path))


def _asked(head: bytes) -> tuple[str, str]:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].partition("?")[0]) if len(words) == 3 else ("", "")


def _reply(health: Health, method: str, path: str) -> bytes:
    paths: dict[str, Callable[[], bool]] = {"/health": lambda: health.connected, "/ready": lambda: health.ready}
    if method not in {"GET", "HEAD"}:
        code, said = 405, {"error": "GET is what can be asked here."}
    elif path not in paths:
        code, said = 404, {"error": f"There are {' and '.join(paths)}."}
    else:
        code, said = (200 if paths[path]() else 503), health.as_dict()
    body = json.dumps(said).encode() + b"\n"
    head = (
        f"HTTP/1.1 {code} {REASONS[code]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else body)
