"""Real `mycelium worker` processes on one store and one corner of a broker, which a test may kill, stop or end."""

import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from mycelium.settings.network import RabbitMQ
from tests.network.executors import install_executors
from tests.support.processes import MYCELIUM
from tests.worker.processes import HIDDEN, WorkerProcess

ROOT = Path(__file__).parents[2]
TAIL = 3000
"""Characters of what a worker said, for whoever has to understand a failure."""


class Team:
    """Where workers are started: what they say is there for as long as this is, also of those that are gone."""

    def __init__(self, folder: Path, url: str, broker: RabbitMQ, *args: str, **env: str) -> None:
        self.folder = folder
        self.url = url
        self.workers: dict[str, WorkerProcess] = {}
        self._args = args
        kept = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
        plugin = install_executors(folder / "plugin")
        self.env: Mapping[str, str] = {
            **kept,
            "MYCELIUM_BACKEND": url,
            "MYCELIUM_LOG": "INFO",
            "PYTHONPATH": f"{plugin}{os.pathsep}{ROOT}",
            **reaching(broker),
            **env,
        }

    @asynccontextmanager
    async def worker(self, name: str, *args: str, **env: str) -> AsyncGenerator[WorkerProcess]:
        """A worker that is killed at the end of this context, if it is still there."""
        command = [MYCELIUM, "worker", "--json", "--agent", name, *self._args, *args]
        process = await anyio.open_process(command, env={**self.env, **env}, cwd=self.folder)
        worker = self.workers[name] = WorkerProcess(process)
        async with process, anyio.create_task_group() as tasks:
            tasks.start_soon(worker.read, process.stdout, "out")
            tasks.start_soon(worker.read, process.stderr, "err")
            try:
                yield worker
            finally:
                if process.returncode is None:
                    process.kill()
                with anyio.CancelScope(shield=True):
                    await process.wait()

    @asynccontextmanager
    async def telling(self) -> AsyncGenerator[None]:
        """Add what the workers said last to whatever goes wrong in this context."""
        try:
            yield
        except BaseException as error:
            for name, worker in self.workers.items():
                code = worker.process.returncode
                error.add_note(f"\n{name}, {'running' if code is None else f'ended {code}'}:\n{worker.err[-TAIL:]}")
            raise


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
