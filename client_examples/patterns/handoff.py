"""Handoff: ada leaves work for grace and goes; grace comes later, finds it and does it; the result stays for ada.

    python client_examples/patterns/handoff.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio

from mycelium import Mycelium
from mycelium.backend import Backend


async def leave_work(store: Backend) -> str:
    async with Mycelium.over(store, agent="ada") as ada:
        task = await ada.create_task("translate", payload={"text": "good morning"}, assigned_to="grace")
        print("ada: left something for grace")
        return task.id


async def do_work(store: Backend) -> None:
    async with Mycelium.over(store, agent="grace") as grace:
        for task in await grace.get_tasks_for_agent("grace"):
            if task.type == "translate":
                await grace.claim_task(task.id)
                await grace.complete_task(task.id, {"text": "bonjour"})
                print(f"grace: translated {task.payload['text']!r} for {task.created_by}")


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="lead") as m:
        task_id = await leave_work(m.backend)
        await do_work(m.backend)
        print(f"the result is {(await m.get_task(task_id)).result}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
