"""Saga: when a step fails, what was done before is undone, last first.

    python client_examples/patterns/saga.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio

from mycelium import Mycelium

ORDER = [
    {"name": "reserve", "undo": {"type": "unreserve", "payload": {"seat": {"$from": "reserve.result.seat"}}}},
    {"name": "pay", "undo": "refund"},
    "ship",
]


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="ada") as m:
        workflow = await m.create_workflow("order", ORDER, mode="sequential", on_failure="compensate")
        while task := await m.claim_task(types=["reserve", "pay", "ship", "refund", "unreserve"]):
            print(task.type, *task.payload.values())
            if task.type == "ship":
                await m.fail_task(task.id, "no lorry")
            else:
                await m.complete_task(task.id, {"seat": 7} if task.type == "reserve" else None)
        ended = await m.get_workflow(workflow.id)
        assert ended.error is not None
        print(f"{ended.status}: {str(ended.error['error']).removeprefix(workflow.id + '.')}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
