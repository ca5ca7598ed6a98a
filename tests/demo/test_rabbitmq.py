"""The demo over a real RabbitMQ: the worker's tasks travel there, and nothing is left behind."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from tests.demo.running import Demo, arguments, demo_running, environment, write_project
from tests.demo.test_worker import ANALYSES, analyses
from tests.support.processes import MYCELIUM
from tests.support.rabbitmq import RabbitServer
from tests.support.redis import free_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these tests send POSIX signals")


def url_of(server: RabbitServer) -> str:
    return f"amqp://guest:guest@127.0.0.1:{server.port}/%2F"


def queues_of_demos(server: RabbitServer) -> list[str]:
    found = server.control("-q", "list_queues", "name").split() + server.control("-q", "list_exchanges", "name").split()
    return [name for name in found if name.startswith("mycelium-demo-")]


def staying(server: RabbitServer) -> list[str]:
    """The demos' exchanges and queues that would be there for ever if nobody deleted them."""
    queues = server.control("-q", "list_queues", "name", "arguments").splitlines()
    exchanges = server.control("-q", "list_exchanges", "name", "auto_delete").splitlines()
    found = [line for line in queues if "x-expires" not in line] + [line for line in exchanges if "true" not in line]
    return [line for line in found if line.startswith("mycelium-demo-")]


@contextmanager
def held(demo: Demo) -> Generator[None]:
    """The demo does not come to its end meanwhile, however long looking at its queues takes."""
    os.kill(demo.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(demo.process.pid, signal.SIGCONT)


async def test_the_workers_tasks_and_answers_go_over_the_broker(tmp_path: Path, rabbitmq: RabbitServer) -> None:
    async with demo_running(tmp_path, 0, MYCELIUM_DEMO_RABBITMQ=url_of(rabbitmq)) as demo:
        await demo.until("task.started", "worker")
        with held(demo):
            assert queues_of_demos(rabbitmq)
            assert not staying(rabbitmq)
        code, said = await demo.ended()
        assert code == 0, said
        assert [task.status for task in await analyses(demo)] == ["completed"] * ANALYSES
        worker = await demo.m.get_agent_status("worker")
        assert (worker.metadata["swarm"], worker.metadata["sources"]) == (True, ["store", "rabbitmq"])
    address = f"amqp://guest@127.0.0.1:{rabbitmq.port}"
    assert said.splitlines()[0].endswith(f", over {address}")
    assert f"RabbitMQ  {address}: {ANALYSES} of {ANALYSES} analyses were answered there" in said
    assert "guest:guest" not in said
    assert "Not analysed" not in demo.report
    assert not queues_of_demos(rabbitmq)


async def test_ended_by_a_signal_it_takes_its_queues_along(tmp_path: Path, rabbitmq: RabbitServer) -> None:
    async with demo_running(tmp_path, 5, MYCELIUM_DEMO_RABBITMQ=url_of(rabbitmq)) as demo:
        await demo.until("task.started", "worker")
        demo.process.terminate()
        code, said = await demo.ended()
    assert code == 143, said
    assert not queues_of_demos(rabbitmq)


async def test_a_broker_that_cannot_be_reached_is_told_before_anything_starts(tmp_path: Path) -> None:
    url = f"amqp://guest:secret@127.0.0.1:{free_port()}"
    done = await anyio.run_process(
        [MYCELIUM, "demo", "--rabbitmq", url], cwd=tmp_path, env=environment(tmp_path), check=False
    )
    assert done.returncode == 3
    assert done.stderr.decode().startswith("broker_unavailable: RabbitMQ at amqp://guest@127.0.0.1")
    assert "secret" not in (done.stdout + done.stderr).decode()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://guest:secret@localhost", "amqp://:0", "rabbit", "amqp://guest:secret@h:x"])
async def test_what_is_no_url_of_a_broker_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    done = await anyio.run_process(
        [MYCELIUM, "demo", "--rabbitmq", url], cwd=tmp_path, env=environment(tmp_path), check=False
    )
    assert done.returncode == 2
    assert "amqp://USER:PASSWORD@HOST:PORT/VHOST" in done.stderr.decode()
    assert "secret" not in done.stderr.decode()
    assert not list(tmp_path.iterdir())


async def test_a_store_in_use_does_not_go_to_the_demos_queues(tmp_path: Path, rabbitmq: RabbitServer) -> None:
    write_project(tmp_path / "project")
    async with Mycelium.open(f"sqlite:///{tmp_path / 'store.db'}", background=False) as m:
        await m.create_task("tool")
    done = await anyio.run_process(
        [*arguments(tmp_path, 0), "--rabbitmq", url_of(rabbitmq)], env=environment(tmp_path), check=False
    )
    assert done.returncode == 2
    assert "The store is in use" in done.stderr.decode()
    assert not queues_of_demos(rabbitmq)


async def test_the_users_own_broker_hears_nothing_of_a_demo_without_one(tmp_path: Path, rabbitmq: RabbitServer) -> None:
    own = {"RABBITMQ_HOST": "127.0.0.1", "RABBITMQ_PORT": str(rabbitmq.port), "RABBITMQ_EXCHANGE": "the-users"}
    async with demo_running(tmp_path, 0, **own, RABBITMQ_QUEUE_PREFIX="the-users", SWARM_MODE="true") as demo:
        code, said = await demo.ended()
        assert code == 0, said
        assert (await demo.m.get_agent_status("worker")).metadata["sources"] == ["store"]
    assert "the-users" not in rabbitmq.control("-q", "list_exchanges", "name").split()
