"""Real `mycelium worker` processes on one store and one corner of a broker, which a test may kill, stop or end."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mycelium.settings.network import RabbitMQ
from tests.network.executors import install_executors
from tests.support.processes import MYCELIUM
from tests.support.workers import WorkerProcess, environment, working

ROOT = Path(__file__).parents[2]
WORKS = "It takes only tasks of type"
"""What a worker says once it works, and obeys signals."""
CONNECTED = "connected to RabbitMQ"
TAIL = 3000
"""Characters of what a worker said that are shown."""


class Team:
    """Where workers are started: what they say is there for as long as this is, also of those that are gone."""

    def __init__(self, folder: Path, url: str, broker: RabbitMQ, **env: str) -> None:
        self.folder = folder
        self.url = url
        self.workers: dict[str, WorkerProcess] = {}
        plugin = install_executors(folder / "plugin")
        self.env: Mapping[str, str] = {
            **environment(),
            "MYCELIUM_BACKEND": url,
            "MYCELIUM_LOG": "INFO",
            "PYTHONPATH": f"{plugin}{os.pathsep}{ROOT}",
            **reaching(broker),
            **env,
        }

    @asynccontextmanager
    async def worker(self, name: str, *args: str, **env: str) -> AsyncGenerator[WorkerProcess]:
        """A worker that is killed at the end of this context, if it is still there."""
        async with working("--json", "--agent", name, *args, env={**self.env, **env}, folder=self.folder) as worker:
            self.workers[name] = worker
            yield worker

    @property
    def last_words(self) -> str:
        """What the workers said last, for whoever has to understand a failure."""
        said: list[str] = []
        for name, worker in self.workers.items():
            code = worker.process.returncode
            said.append(f"{name} {'runs' if code is None else f'ended with {code}'}:\n{worker.err[-TAIL:]}")
        return "\n".join(said)


def reaching(broker: RabbitMQ) -> dict[str, str]:
    """These settings as variables of the environment."""
    return {
        "RABBITMQ_HOST": str(broker.host),
        "RABBITMQ_PORT": str(broker.port),
        "RABBITMQ_VHOST": broker.vhost,
        "RABBITMQ_EXCHANGE": broker.exchange,
        "RABBITMQ_QUEUE_PREFIX": broker.queue_prefix,
    }


async def command(team: Team, *args: str) -> str:
    """What another `mycelium` command says on stdout, having ended well."""
    done = await anyio.run_process([MYCELIUM, *args], env=team.env, cwd=team.folder, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


async def end(worker: WorkerProcess) -> int:
    """Ask a worker to end, as a supervisor does; its exit code."""
    worker.process.send_signal(signal.SIGTERM)
    return await worker.ends()


async def health(worker: WorkerProcess) -> tuple[int, dict[str, Any]]:
    """What a worker with `--health-port 0` answers to `GET /ready`: the code, and how it is."""
    await worker.has_said("/health")
    port = worker.err.partition("http://127.0.0.1:")[2].partition("/")[0]
    return await anyio.to_thread.run_sync(_get, f"http://127.0.0.1:{port}/ready")


def _get(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def memory(worker: WorkerProcess) -> int:
    """How much of it is in memory, in MB."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024
