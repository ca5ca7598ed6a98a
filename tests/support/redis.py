"""Real Redis servers of a test's own, on free ports of this machine, that a test may stop, kill and start again.

`REDIS_SERVER` names another program than the `redis-server` or `valkey-server` that is on the path.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

PATIENCE = 20.0
"""Seconds: a bound for a broken build; a server is there in 0.04."""


class RedisMissing(Exception):
    """No server program is installed."""


def find_server() -> str:
    """The program to start."""
    names = [os.environ.get("REDIS_SERVER", ""), "redis-server", "valkey-server"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise RedisMissing("neither redis-server nor valkey-server is installed: scripts/install-servers does it")
    return found


class RedisServer:
    """One server, with everything it keeps in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, namespace: str = "test", **settings: object) -> str:
        """Where Mycelium finds it."""
        query = "&".join(f"{name}={value}" for name, value in {"namespace": namespace, **settings}.items())
        return f"redis://127.0.0.1:{self.port}/0?{query}"

    def plain(self) -> Any:
        """A client of redis-py, whose types are incomplete, that knows nothing of Mycelium."""
        return redis.Redis(port=self.port, decode_responses=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [find_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        options = ["--save", "", "--appendonly", "yes", "--logfile", "server.log", *self._options]
        self._process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text())
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def stop(self) -> None:
        """End it as an administrator would."""
        self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(lambda process: process.kill())

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self._process is not None and self._process.poll() is None:
            how(self._process)
            self._process.wait(PATIENCE)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(folder: Path, *options: str) -> Generator[RedisServer]:
    """A running server; `options` go to it as they are, such as `--requirepass`, `secret`."""
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
