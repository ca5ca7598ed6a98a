"""Dependency chain: three agents each wait for their own task, and the chain is watched to its end. Nobody polls.

    python client_examples/patterns/chain.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio

from mycelium import Mycelium


async def do(m: Mycelium, agent: str, kind: str) -> None:
    """Claim the agent's task as soon as it is ready, and complete it."""
    cursor = await m.last_seq()
    while (task := await m.claim_task(agent=agent, types=[kind])) is None:
        cursor = (await m.read_events(["tasks:events"], after=cursor, wait_seconds=30)).cursor
    print(f"{agent}: {kind}")
    await m.complete_task(task.id)


async def watch(m: Mycelium, chain: list[str]) -> None:
    state = await m.monitor_workflow(chain)
    print(f"finished: {state.finished}, succeeded: {state.succeeded}, {state.progress:.0%}")


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="lead") as m:
        prepare = await m.create_task("prepare", assigned_to="data-engineer")
        train = await m.create_task("train", assigned_to="ai-engineer", depends_on=[prepare.id])
        evaluate = await m.create_task("evaluate", assigned_to="performance-engineer", depends_on=[train.id])
        chain = [prepare, train, evaluate]
        async with anyio.create_task_group() as agents:
            for task in reversed(chain):  # the order in which they come does not matter
                agents.start_soon(do, m, task.assigned_to or "", task.type)
            await watch(m, [task.id for task in chain])


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
