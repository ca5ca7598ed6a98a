"""An agent of the demo: `python -m mycelium_server.demo.agent --backend URL --workflow ID --name NAME`.

It knows the team only through the tools of the MCP server that it starts for itself, and needs no model.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Final

import anyio
from mcp import Client, StdioServerParameters

from mycelium_server.demo.command import python
from mycelium_server.demo.crew import LEASE
from mycelium_server.demo.survey import TYPES, start_channel
from mycelium_server.demo.team import Claimed, News, Refused, Team
from mycelium_server.demo.work import do

log = logging.getLogger("mycelium.demo")

WAKING: Final = frozenset({"task.ready", "task.created", "task.released", "task.expired", "task.retrying"})
"""After these there may be something to claim."""
ENDS: Final = frozenset({"workflow.completed", "workflow.failed", "workflow.cancelled"})
GONE: Final = frozenset({"stale_lease", "illegal_transition"})
"""The task is another's by now, or nobody's."""


async def run_agent(backend: str, workflow_id: str, name: str, pace: float) -> None:
    """Work until the workflow has its outcome, or whoever started this process closes its stdin."""
    command, *arguments = python("mycelium_server", "serve", "--backend", backend, "--agent", name)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_with_parent, tasks.cancel_scope)
        async with Client(StdioServerParameters(command=command, args=arguments, env=_passed_on())) as client:
            await _Agent(Team(client, name), pace).work_for(workflow_id)
        tasks.cancel_scope.cancel()


def _passed_on() -> dict[str, str]:
    """Which configuration the server reads: it gets none of the environment by itself."""
    return {name: os.environ[name] for name in ("MYCELIUM_CONFIG",) if name in os.environ}


async def _end_with_parent(scope: anyio.CancelScope) -> None:
    # Not through sys.stdin: its lock would still be held by the waiting thread when the interpreter ends.
    await anyio.to_thread.run_sync(os.read, 0, 1, abandon_on_cancel=True)
    scope.cancel()


class _Agent:
    """Claims what it can do, does it, and waits for news when there is nothing to do."""

    def __init__(self, team: Team, pace: float) -> None:
        self._team = team
        self._pace = pace

    async def work_for(self, workflow_id: str) -> None:
        """Work until this workflow has its outcome."""
        await self._team.introduce(TYPES, pid=os.getpid())
        await self._team.wait_for_signal(start_channel(workflow_id))
        news = await self._team.news()
        if await self._team.workflow_status(workflow_id) != "running":
            return
        awake = True
        while not any(_ends(each, workflow_id) for each in news):
            while awake and (task := await self._team.claim(TYPES, LEASE)):
                await self._attempt(task)
            news = await self._team.news()
            awake = any(each.type in WAKING for each in news)

    async def _attempt(self, task: Claimed) -> None:
        """Do a task and say what came of it."""
        try:
            try:
                result = await do(task, self._team, self._pace)
            except Refused:
                raise
            except Exception as error:  # the boundary of an attempt: whatever goes wrong in it is its failure
                log.exception("%s failed", task.id)
                await self._team.fail(task, str(error) or type(error).__name__)
            else:
                await self._team.complete(task, result)
        except Refused as refused:
            if refused.code not in GONE:
                raise


def _ends(news: News, workflow_id: str) -> bool:
    return news.type in ENDS and news.data.get("workflow_id") == workflow_id


def main() -> None:
    """Run one agent, as its command line says."""
    parser = argparse.ArgumentParser(prog="python -m mycelium_server.demo.agent", description=__doc__)
    parser.add_argument("--backend", required=True, help="URL of the store that the team shares")
    parser.add_argument("--workflow", required=True, help="id of the workflow to work for")
    parser.add_argument("--name", required=True, help="this agent's name")
    parser.add_argument("--pace", type=float, default=0, help="seconds that a measuring task takes at least")
    options = parser.parse_args()
    anyio.run(run_agent, options.backend, options.workflow, options.name, options.pace)


if __name__ == "__main__":
    sys.exit(main())
