"""Sequence: A, then B, then C. Each task is given what the one before it came to.

    python client_examples/patterns/sequence.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio

from mycelium import Mycelium

LETTER = [
    {"name": "draft", "payload": {"about": "spring"}},
    {"name": "review", "payload": {"text": {"$from": "draft.result.text"}}},
    {"name": "send", "payload": {"text": {"$from": "review.result.text"}}},
]


def written(kind: str, given: object) -> str:
    """What an agent makes of it: here, words."""
    return {"draft": f"it is {given}", "review": f"{given}!", "send": f"sent: {given}"}[kind]


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="ada") as m:
        workflow = await m.create_workflow("letter", LETTER, mode="sequential")
        while task := await m.claim_task(types=["draft", "review", "send"]):  # only the next one is ever ready
            (given,) = task.payload.values()
            await m.complete_task(task.id, {"text": written(task.type, given)})
            print(f"{task.type}: {given}")
        ended = await m.get_workflow(workflow.id)
        print(f"{ended.status}: {ended.result}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
