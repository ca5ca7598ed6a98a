"""Parallel with fan-in: a survey finds files, all of them are counted at once, and one report has every count.

    python client_examples/patterns/fan_in.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import Task

FILES = {"a.py": 120, "b.py": 80, "c.py": 42}
SCAN = [
    "survey",
    {"name": "count", "for_each": "survey.result.files", "payload": {"file": {"$from": "item"}}},
    {"name": "report", "payload": {"counts": {"$from": "count.result.items"}}},
]


def done(task: Task) -> dict[str, JsonValue]:
    """What an agent finds out."""
    match task.type:
        case "survey":
            return {"files": list(FILES)}
        case "count":
            return {"lines": FILES[str(task.payload["file"])]}
        case _:
            return {"counts": task.payload["counts"]}


async def work(m: Mycelium, agent: str) -> None:
    """Go on while there is something to do. Whoever ends the last count finds the report ready."""
    while task := await m.claim_task(agent=agent, types=["survey", "count", "report"]):
        await m.complete_task(task.id, done(task))


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="lead") as m:
        workflow = await m.create_workflow("scan", SCAN, mode="sequential")
        async with anyio.create_task_group() as agents:
            for name in ("ada", "grace", "edsger"):
                agents.start_soon(work, m, name)
        ended = (await m.wait_for(workflow.id)).workflow
        assert ended is not None
        print(f"{ended.status}: {ended.result}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
