"""The worker's process: what it is told, and how it is started, anew if need be, and never left behind."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final

import anyio
from anyio.abc import Process

from mycelium.settings import leaves_the_choice
from mycelium_server.demo.command import python
from mycelium_server.demo.crew import LEASE, dismiss

STARTS: Final = 3
"""A worker that dies is replaced, but one that cannot live is given up."""
DRAIN: Final = 2.0
"""Seconds that it goes on with what it has when the survey is over."""
NOT_FOR_IT: Final = ("MYCELIUM_RABBITMQ_", "RABBITMQ_", "MYCELIUM_WORKER_", "SWARM_MODE")
"""What the names of variables begin with that are for other workers of this user: this one must not send what the
demo does to a broker that real work goes over."""
MODEL: Final = "MYCELIUM_WORKER_PROVIDER"
FOLDER: Final = "DEMO_FOLDER"
"""Names the folder that is surveyed, to the file with the MCP servers, which may then call it as it likes."""
CONFIG: Final = "MYCELIUM_CONFIG"
CONFIG_FILE: Final = "config.json"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker is hired for."""

    name: str
    backend: str
    folder: str
    """That of the survey."""
    place: Path
    """Where its files go."""
    queue: str | None
    """Of the tasks in the store that it takes; None where they come over RabbitMQ."""
    broker: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables that lead it to RabbitMQ."""


class Hired:
    """A worker that is there, or will be again in a moment."""

    def __init__(self, start: Callable[[], Awaitable[Process]], processes: list[Process]) -> None:
        self._start = start
        self._processes = processes

    async def lost(self) -> None:
        """Wait until it has ended for good: it is started anew, but not for ever."""
        while True:
            await self._processes[-1].wait()
            if len(self._processes) == STARTS:
                return
            self._processes.append(await self._start())


@asynccontextmanager
async def hired(terms: Terms, log: Path) -> AsyncGenerator[Hired]:
    """A worker for the time of this context; what it has to say goes into `log`. It ends as agents do."""
    servers = terms.place / "mcp.json"
    await anyio.to_thread.run_sync(servers.write_text, json.dumps(_servers()))
    with log.open("ab") as stderr:

        async def start() -> Process:
            command = python("mycelium_server.demo.worker", *_options(terms, servers))
            return await anyio.open_process(
                command, stdin=PIPE, stdout=DEVNULL, stderr=stderr, start_new_session=True, env=_environment(terms)
            )

        processes: list[Process] = [await start()]
        try:
            yield Hired(start, processes)
        finally:
            await dismiss(processes)


def _options(terms: Terms, servers: Path) -> list[str]:
    # One task at a time, since each shows on the live view.
    fixed = ["--agent", terms.name, "--mcp-file", str(servers), "--concurrency", "1", "--drain-seconds", str(DRAIN)]
    return [*fixed, *(["--queue", terms.queue] if terms.queue else ["--swarm"])]


def _servers() -> dict[str, object]:
    command, *arguments = python("mycelium_server", "workbench", "--root", f"${{{FOLDER}}}")
    return {"mcpServers": {"workbench": {"command": command, "args": arguments}}}


def _environment(terms: Terms) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name == MODEL or not name.startswith(NOT_FOR_IT)}
    own = {"MYCELIUM_BACKEND": terms.backend, "MYCELIUM_WORKER_LEASE_SECONDS": str(LEASE), FOLDER: terms.folder}
    return {**kept, **configuration_for(terms.backend, terms.place), **own, **terms.broker}


def configuration_for(backend: str, place: Path) -> dict[str, str]:
    """The variable that names the configuration of the demo's processes: an empty one, unless the store is in it.

    The project's own may lead to a broker, where nobody waits for what the demo does.
    """
    return {} if leaves_the_choice(backend) else {CONFIG: str(place / CONFIG_FILE)}
