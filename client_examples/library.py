"""The library without MCP: a workflow of two tasks, done by two agents of this very process.

    python client_examples/library.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is a temporary one.
"""

import sys
import tempfile
from pathlib import Path

import anyio

from mycelium import Mycelium


async def work(store: str, name: str, workflow_id: str) -> None:
    """Claim and complete tasks until the workflow is over; wait for events in between."""
    async with Mycelium.open(store, agent=name) as m:
        cursor = await m.last_seq()
        while (await m.get_workflow(workflow_id)).status == "running":
            if task := await m.claim_task(types=["draft", "review"]):
                print(f"{name}: {task.type}")
                await m.complete_task(task.id, {"by": name})
            else:
                cursor = (await m.read_events(after=cursor, wait_seconds=30)).cursor


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="lead") as m:
        workflow = await m.create_workflow("letter", ["draft", "review"], mode="sequential")
        async with anyio.create_task_group() as agents:
            agents.start_soon(work, store, "ada", workflow.id)
            agents.start_soon(work, store, "grace", workflow.id)
        workflow = await m.get_workflow(workflow.id)
        print(f"the workflow is {workflow.status}, progress {workflow.progress:.0%}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'team.db'}")
