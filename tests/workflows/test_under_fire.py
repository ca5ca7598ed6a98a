"""A large workflow is worked through by many processes, of which one is killed every moment."""

import itertools
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import Process

from mycelium import Mycelium
from mycelium.models import Workflow
from tests.spine.conftest import NewStore, new_store
from tests.support.store import log
from tests.workflows.history import problems_in

WORKERS = 8
__all__ = ["new_store"]


def layered(layers: int, width: int) -> list[dict[str, object]]:
    """Each task of a layer waits on all of the layer before, and sees what its first one came to."""
    tasks: list[dict[str, object]] = []
    for layer, number in itertools.product(range(layers), range(width)):
        before = [f"t{layer - 1}-{other}" for other in range(width)] if layer else []
        payload = {"saw": {"$from": f"t{layer - 1}-0.result.by"}} if layer else {}
        tasks.append({"name": f"t{layer}-{number}", "depends_on": before, "payload": payload})
    return tasks


@asynccontextmanager
async def worker(url: str, name: str, seconds: float) -> AsyncGenerator[Process]:
    command = [sys.executable, "-m", "tests.workflows.worker", url, name, str(seconds)]
    process = await anyio.open_process(command, stdin=None, stdout=None, stderr=None)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()


class Crew:
    """Workers that are killed and replaced until the work is done."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url = url
        self.seconds = seconds
        self.killed = 0
        self._running: dict[str, Process] = {}
        self._names = itertools.count()

    async def keep_one(self) -> None:
        """A worker, and another one whenever it dies."""
        while True:
            name = f"worker-{next(self._names)}"
            async with worker(self.url, name, self.seconds) as process:
                self._running[name] = process
                await process.wait()
                del self._running[name]

    async def kill_one_every(self, seconds: float) -> None:
        while True:
            await anyio.sleep(seconds)  # the pace of the fire, not a wait for something
            if self._running:
                victim = random.choice([*self._running.values()])
                os.kill(victim.pid, signal.SIGKILL)
                self.killed += 1


async def under_fire(
    m: Mycelium, url: str, *, layers: int, width: int, pace: float, limit: float
) -> tuple[Workflow, int]:
    workflow = await m.create_workflow("layers", layered(layers, width), mode="dag")
    crew = Crew(url, seconds=0.02)
    async with anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(crew.keep_one)
        group.start_soon(crew.kill_one_every, pace)
        await m.wait_for(workflow.id, wait_seconds=limit)
        group.cancel_scope.cancel()
    return await m.get_workflow(workflow.id), crew.killed


async def check(url: str, *, layers: int, width: int, pace: float, limit: float) -> None:
    async with Mycelium.open(url, agent="watcher") as m:
        workflow, killed = await under_fire(m, url, layers=layers, width=width, pace=pace, limit=limit)
        assert killed > 0
        assert workflow.status == "completed"
        tasks = await m.get_tasks(workflow.tasks)
        events = await log(m)
    assert len(tasks) == layers * width
    assert problems_in(events, tasks) == []
    assert sum(event.type == "workflow.completed" for event in events) == 1
    assert all(task.status == "completed" for task in tasks)


async def test_a_workflow_completes_once_while_its_workers_are_killed(new_store: NewStore) -> None:
    await check(new_store(), layers=4, width=20, pace=1.0, limit=110)


@pytest.mark.soak
async def test_a_thousand_tasks_in_layers_complete_once_while_workers_are_killed(new_store: NewStore) -> None:
    await check(new_store(), layers=10, width=100, pace=3.0, limit=900)
