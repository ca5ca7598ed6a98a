"""A worker in this process, with executors and a toolbox that the test gives."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_worker.attempt import Attempt
from mycelium_worker.executor import Executor
from mycelium_worker.executors.registry import Executors
from mycelium_worker.model import Model
from mycelium_worker.store_source import open_store_source
from mycelium_worker.tally import Outcome
from mycelium_worker.toolbox import Reply, Tool, Toolbox
from mycelium_worker.worker import Worker

PATIENCE = 30.0
"""Seconds: a bound for a broken build, never reached otherwise."""


class NoTools:
    """A toolbox with nothing in it."""

    async def tools(self, *, soon: bool = False) -> Sequence[Tool]:
        return []

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        return Reply(f"no tool {name!r}", is_error=True)


class Gate:
    """An executor that begins and ends when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.stopped: list[str] = []
        self.open = anyio.Event()
        self._changed = anyio.Event()

    async def __call__(self, attempt: Attempt) -> Mapping[str, JsonValue]:
        self._note(self.begun, attempt)
        try:
            await self.open.wait()
        except BaseException:
            self._note(self.stopped, attempt)
            raise
        self._note(self.ended, attempt)
        return {"done": attempt.task.id}

    def _note(self, where: list[str], attempt: Attempt) -> None:
        where.append(attempt.task.id)
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, where: list[str], count: int) -> None:
        with anyio.fail_after(PATIENCE):
            while len(where) < count:
                await self._changed.wait()


class Running:
    """A worker that runs, and what it told."""

    def __init__(self) -> None:
        self.worker: Worker
        self.outcomes: list[Outcome] = []
        self._heard = anyio.Event()

    def hear(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._heard.set()
        self._heard = anyio.Event()

    async def until(self, count: int) -> None:
        """Return when so many outcomes were told."""
        with anyio.fail_after(PATIENCE):
            while len(self.outcomes) < count:
                await self._heard.wait()

    @property
    def ended(self) -> list[str]:
        return [outcome.ended for outcome in self.outcomes]


@asynccontextmanager
async def working(
    client: Mycelium,
    executors: Mapping[str, Executor],
    *,
    toolbox: Toolbox | None = None,
    model: Model | None = None,
    source: Mapping[str, Any] | None = None,
    run: Mapping[str, bool] | None = None,
    **how: Any,
) -> AsyncGenerator[Running]:
    """A worker on this store that runs beside the block; at its end it is stopped, unless it ends by itself."""
    running = Running()
    async with open_store_source(client, **(source or {})) as store:
        worker = Worker(
            client, [store], Executors(executors), toolbox or NoTools(), model=model, hear=running.hear, **how
        )

        running.worker = worker

        async def work() -> None:
            await worker.run(**(run or {}))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work)
                try:
                    yield running
                finally:
                    if not run:
                        worker.stop()


async def work_off(client: Mycelium, executors: Mapping[str, Executor], **how: Any) -> list[Outcome]:
    """Let a worker do all there is; what came of it."""
    async with working(client, executors, run={"until_empty": True}, **how) as running:
        pass
    return running.outcomes


async def ended(client: Mycelium, *ids: str) -> list[Task]:
    """These tasks, once they have their outcome."""
    state = await client.wait_for(list(ids), wait_seconds=PATIENCE)
    assert state.finished
    return list(state.tasks)
