"""Following a survey from the store's log until it is over."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio.abc import TaskGroup

from mycelium import Mycelium
from mycelium.errors import IllegalTransition
from mycelium_server.demo.analysis import TOOL
from mycelium_server.demo.crew import Crew
from mycelium_server.demo.hired import Hired
from mycelium_server.demo.show import Tell
from mycelium_server.demo.state import State
from mycelium_server.demo.survey import start_channel

GATHER_WITHIN = 15.0
"""Seconds for the agents to come; then those that are there begin."""


class Follower:
    """Keeps a survey's state true to its events, and tells the agents when to begin."""

    def __init__(self, m: Mycelium, state: State, tell: Tell) -> None:
        self._m = m
        self._state = state
        self._tell = tell
        self._gathered = anyio.Event()
        self._unfit = anyio.Event()
        """The worker failed so often that the store gives it nothing more for minutes."""
        self.signal = 0
        """The signal that ended it, if one did."""

    async def follow(self, after: int, at_work: Crew, worker: Hired) -> None:
        """Return when the workflow has its outcome, no agent is left, or a signal comes."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._events, after, tasks)
            tasks.start_soon(self._begin)
            tasks.start_soon(self._crew, at_work, tasks)
            tasks.start_soon(self._worker, worker)
            if sys.platform != "win32":
                tasks.start_soon(self._signals, tasks)

    async def _events(self, after: int, tasks: TaskGroup) -> None:
        async for event in self._m.follow_events(after=after):
            if (happening := self._state.apply(event)) is not None:
                self._tell(happening)
            if any(agent.status == "error" and not agent.awaited for agent in self._state.agents.values()):
                self._unfit.set()
            if self._state.gathered:
                self._gathered.set()
            if self._state.outcome is not None:
                tasks.cancel_scope.cancel()

    async def _begin(self) -> None:
        with anyio.move_on_after(GATHER_WITHIN):
            await self._gathered.wait()
        await self._m.publish_event(start_channel(self._state.workflow_id), type="begin")

    async def _crew(self, at_work: Crew, tasks: TaskGroup) -> None:
        await at_work.deserted()
        tasks.cancel_scope.cancel()

    async def _worker(self, worker: Hired) -> None:
        async with anyio.create_task_group() as either:
            for end in (worker.lost, self._unfit.wait):
                either.start_soon(_then_cancel, end, either)
        for task in await self._m.get_tasks(list(self._state.tasks)):
            if task.type == TOOL and task.open:
                # Nobody else does these, and the report waits for them, to say what is missing.
                with suppress(IllegalTransition):
                    await self._m.cancel_task(task.id, reason="no worker was left to do it")

    async def _signals(self, tasks: TaskGroup) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            self.signal = await anext(aiter(signals))
        tasks.cancel_scope.cancel()


async def _then_cancel(end: Callable[[], Awaitable[object]], tasks: TaskGroup) -> None:
    await end()
    tasks.cancel_scope.cancel()
