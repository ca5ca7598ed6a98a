"""One worker process of each kind, where its jobs come from, and what it uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.network_jobs import PATIENCE, PREFETCH, TYPE, MessageJobs

ROOT: Final = Path(__file__).parents[1]
RIVALS: Final = ROOT / ".venv-rivals"
"""A virtual environment of their own: what they need is not what Mycelium needs."""
INSTALL: Final = "scripts/install-rivals puts them into an environment of their own"
TICKS: Final = os.sysconf("SC_CLK_TCK")
ENTRY_POINT: Final = f"[mycelium.executors]\n{TYPE} = network_noop:noop\n"
EXECUTOR: Final = """async def noop(attempt):
    return {}
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """Something that does jobs in one process: how it is started, given jobs, and seen to have done them."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    publish: Callable[[int], None]
    finish: Callable[[int], None]


def mycelium(store: str, jobs: MessageJobs, folder: Path) -> Engine:
    """`mycelium worker` as people start it, with an executor of another package that does nothing."""
    name = store.partition(":")[0]
    command = [
        str(Path(sys.executable).with_name("mycelium")), "worker", "--backend", store, "--type", TYPE,
        "--concurrency", str(PREFETCH), "--prefetch", str(PREFETCH),
    ]  # fmt: skip
    environment = {**jobs.environment, "PYTHONPATH": str(_plugin(folder)), "MYCELIUM_LOG": "ERROR"}  # as the others
    return Engine(f"{name}, {jobs.queue_type} queues", command, environment, jobs.publish, jobs.finish)


def bare(jobs: MessageJobs) -> Engine:
    """The baseline."""
    command = [sys.executable, "-m", "benchmarks.network_bare", str(PREFETCH)]
    return Engine("bare pika", command, jobs.environment, jobs.publish, jobs.finish)


def _plugin(folder: Path) -> Path:
    """A folder as installing a package with one executor would leave it."""
    place = folder / "plugin"
    about = place / "network_noop-1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: network-noop\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINT)
    (place / "network_noop.py").write_text(EXECUTOR)
    return place


def celery(broker: int, redis: Any, queue_type: str) -> Engine:
    """In one process without a pool of others, which is what it does no-ops fastest in."""
    command = ["-m", "celery", "-A", "benchmarks.network_celery", "worker", "--pool", "solo", "--loglevel", "ERROR"]
    return _rival("Celery", "network_celery", command, broker, redis, queue_type)


def taskiq(broker: int, redis: Any, queue_type: str) -> Engine:
    command = [
        "-m", "taskiq", "worker", "benchmarks.network_taskiq:broker", "--workers", "1",
        "--max-async-tasks", str(PREFETCH), "--log-level", "ERROR",
    ]  # fmt: skip
    return _rival("taskiq", "network_taskiq", command, broker, redis, queue_type)


def dramatiq(broker: int, redis: Any, queue_type: str) -> Engine:
    command = ["-m", "dramatiq", "benchmarks.network_dramatiq", "--processes", "1", "--threads", "8"]
    return _rival("dramatiq", "network_dramatiq", command, broker, redis, queue_type)


def _rival(name: str, module: str, command: Sequence[str], broker: int, redis: Any, queue_type: str) -> Engine:
    """One that has its jobs added by its own client, and whose results are counted where they are stored."""
    python = str(RIVALS / "bin" / "python")
    environment = {
        "BROKER_URL": f"amqp://guest:guest@127.0.0.1:{broker}/%2F",
        "RESULTS_URL": f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/1",
        "PREFETCH": str(PREFETCH),
        "QUEUE_TYPE": queue_type,
        "dramatiq_queue_prefetch": str(PREFETCH),
    }

    def publish(jobs: int) -> None:
        redis.flushdb()
        subprocess.run([python, "-m", f"benchmarks.{module}", str(jobs)], check=True, cwd=ROOT, env=_with(environment))

    def finish(jobs: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while redis.dbsize() < jobs and not redis.exists("done"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{redis.dbsize()} of {jobs} jobs have a result")
            time.sleep(0.005)

    return Engine(f"{name}, {queue_type} queues", [python, *command], environment, publish, finish)


def _with(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYCELIUM_", "RABBITMQ_"))}
    return {**kept, **more}


class Running:
    """A worker's process, and its children."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def hold(self) -> None:
        """Let it do nothing, with its connections open."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    @property
    def cpu_seconds(self) -> float:
        """What it has used."""
        return sum(cpu_seconds(pid) for pid in self._pids())

    @property
    def resident(self) -> float:
        """How much memory it holds, in MiB."""
        page = os.sysconf("SC_PAGE_SIZE") / 2**20
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in self._pids())

    def _pids(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if _group(pid) == self._process.pid]


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def cpu_seconds(pid: int) -> float:
    """What a process has used, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(engine: Engine, folder: Path) -> Generator[Running]:
    """A worker in a process group of its own, so that it can be held, with all that it starts."""
    output = folder / f"{engine.name.partition(',')[0].replace(' ', '-')}.log"
    with output.open("ab") as log:
        process = subprocess.Popen(
            engine.command, cwd=ROOT, env=_with(engine.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield Running(process)
    except TimeoutError as error:
        raise RuntimeError(f"{engine.name}: {error}. It said:\n{output.read_text(errors='replace')[-2000:]}") from None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
