"""Conditional with fallback: A, then B if A succeeded, or C if it failed. The branch that is not taken is skipped.

    python client_examples/patterns/fallback.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio

from mycelium import Mycelium

UPGRADE = [
    "migrate",
    {"name": "announce", "depends_on": ["migrate"]},
    {"name": "restore", "depends_on": ["migrate"], "run_when": "any_failed"},
]


async def upgrade(m: Mycelium, *, disk_is_full: bool) -> None:
    workflow = await m.create_workflow("upgrade", UPGRADE)
    while task := await m.claim_task(types=["migrate", "announce", "restore"]):
        if task.type == "migrate" and disk_is_full:
            await m.fail_task(task.id, "the disk is full")
        else:
            await m.complete_task(task.id)
    state = await m.wait_for(workflow.id)
    print(", ".join(f"{task.type} {task.status}" for task in state.tasks))


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="ada") as m:
        await upgrade(m, disk_is_full=False)
        await upgrade(m, disk_is_full=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
