"""Coordinator: a message names agents and what each is to do, at once (parallel) or one after another (sequential).

    python client_examples/patterns/coordinator.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys
from typing import Literal

import anyio

from mycelium import Mycelium

REVIEW = {
    "code-developer": "Review the quality",
    "security-analyst": "Check the security",
    "performance-expert": "Make it faster",
}


async def answer(m: Mycelium, agent: str) -> None:
    """Wait for what this agent is to do, and do it."""
    cursor = await m.last_seq()
    while (task := await m.claim_task(agent=agent, types=["prompt"])) is None:
        cursor = (await m.read_events(["tasks:events"], after=cursor, wait_seconds=30)).cursor
    await m.complete_task(task.id, {"by": agent})


async def coordinate(m: Mycelium, mode: Literal["parallel", "sequential"]) -> None:
    tasks = [
        {"name": name, "type": "prompt", "assigned_to": name, "payload": {"prompt": prompt}}
        for name, prompt in REVIEW.items()
    ]
    workflow = await m.create_workflow("review", tasks, mode=mode, timeout_seconds=3600)
    ready = [task for task in await m.get_tasks(workflow.tasks) if not task.blocked]
    print(f"{mode}: {len(ready)} of {len(tasks)} can begin")
    async with anyio.create_task_group() as agents:
        for name in REVIEW:
            agents.start_soon(answer, m, name)
    ended = await m.get_workflow(workflow.id)
    print(f"{mode}: {ended.status}, with the results of {', '.join(ended.result or {})}")


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="coordinator") as m:
        await coordinate(m, "parallel")
        await coordinate(m, "sequential")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
