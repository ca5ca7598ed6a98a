"""Coordinator's conditions: work begins when its time has come, when a number is too high, when an agent is in trouble.

    python client_examples/patterns/conditions.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys
from datetime import UTC, datetime

import anyio

from mycelium import Mycelium
from mycelium.models import Trigger


async def made_by(m: Mycelium, trigger: Trigger, after: int) -> str:
    """The type of the task that the trigger makes; it is done at once, and the trigger taken away."""
    assert trigger.then.task is not None
    like = {"type": "task.created", "where": {"path": "data.task_type", "value": trigger.then.task.type}}
    made = await m.wait_for_event(like, after=after)
    assert made is not None
    task = await m.claim_task(str(made.data["task_id"]))
    assert task is not None
    await m.complete_task(task.id)
    await m.remove_trigger(trigger.id)
    return task.type


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="coordinator") as m:
        start = await m.last_seq()

        now = datetime.now(UTC).isoformat()
        clock = await m.create_trigger({"schedule": {"at": now}}, {"task": {"type": "backup"}})
        print(f"time: {await made_by(m, clock, start)}")

        crowded = {"statistic": {"statistic": "queues.critical", "op": ">=", "value": 1}}
        gauge = await m.create_trigger(crowded, {"task": {"type": "call-for-help"}})
        urgent = await m.create_task("mend", priority="critical")
        print(f"threshold: {await made_by(m, gauge, start)}")
        await m.cancel_task(urgent.id)

        ill = {"agent": {"agent": "worker-*", "status": "error"}}
        nurse = await m.create_trigger(ill, {"task": {"type": "restart"}})
        await m.store_agent_status("worker-1", "error")
        print(f"agent status: {await made_by(m, nurse, start)}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
