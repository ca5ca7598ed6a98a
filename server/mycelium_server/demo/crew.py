"""The agents' processes: how they are started, and how none of them is left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Final

import anyio
from anyio.abc import Process

from mycelium_server.demo.command import python

NAMES: Final = (
    "ada", "grace", "edsger", "barbara", "alan", "frances", "donald", "margaret", "tony", "radia", "john", "hedy",
    "niklaus", "katherine", "claude", "joan",
)  # fmt: skip
MOST: Final = len(NAMES)
LEASE: Final = 10.0
"""Seconds: what somebody leaves behind who died without a word comes back this soon."""
LEAVE_WITHIN: Final = 8.0
"""Seconds for an agent to close its connection and its server; after that it is killed."""


class Crew:
    """Agents at work."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    async def deserted(self) -> None:
        """Wait until every agent has ended."""
        for process in self._processes:
            await process.wait()


@asynccontextmanager
async def crew(
    names: Sequence[str], backend: str, workflow_id: str, pace: float, log: Path, variables: Mapping[str, str]
) -> AsyncGenerator[Crew]:
    """Agents of these names for the time of this context; what they have to say of trouble goes into `log`.

    They end when the workflow does. What still runs at the end of the context is told to end, and then made to;
    when this very process dies, they notice that too.
    """
    async with AsyncExitStack() as stack:
        stderr = stack.enter_context(log.open("ab"))
        processes: list[Process] = []
        stack.push_async_callback(dismiss, processes)
        for name in names:
            process = await _start(_options(name, backend, workflow_id, pace), stderr, variables)
            processes.append(process)  # one by one: those that run are dismissed even if the next cannot start
        yield Crew(processes)


def _options(name: str, backend: str, workflow_id: str, pace: float) -> Sequence[str]:
    return ("--backend", backend, "--workflow", workflow_id, "--name", name, "--pace", str(pace))


async def _start(options: Sequence[str], stderr: IO[bytes], variables: Mapping[str, str]) -> Process:
    command = python("mycelium_server.demo.agent", *options)
    # In a session of their own, Ctrl-C reaches this process alone, which then ends them in order.
    return await anyio.open_process(
        command, stdin=PIPE, stdout=DEVNULL, stderr=stderr, start_new_session=True, env={**os.environ, **variables}
    )


async def dismiss(processes: Sequence[Process]) -> None:
    """Close everybody's stdin, which tells them to end, and wait; kill those that do not."""
    with anyio.CancelScope(shield=True):
        for process in processes:
            if process.stdin:
                await process.stdin.aclose()
        with anyio.move_on_after(LEAVE_WITHIN):
            for process in processes:
                await process.wait()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.aclose()
