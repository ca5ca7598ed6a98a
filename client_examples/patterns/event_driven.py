"""Event-driven automation: an alert is published, and a trigger makes a task of it. Small alerts make none.

    python client_examples/patterns/event_driven.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is in memory.
"""

import sys

import anyio

from mycelium import Mycelium

WHEN = {
    "event": {
        "channel": "system:events",
        "type": "alert",
        "where": {"path": "data.level", "op": ">=", "value": 3},
    }
}
THEN = {"task": {"type": "inspect", "payload": {"host": {"$from": "cause.data.host"}}, "priority": "high"}}
MADE = {"type": "task.created", "where": {"path": "data.task_type", "value": "inspect"}}


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="lead") as m:
        trigger = await m.create_trigger(WHEN, THEN)
        start = await m.last_seq()
        await m.publish_event("system:events", {"host": "db-1", "level": 1}, type="alert")
        await m.publish_event("system:events", {"host": "db-2", "level": 5}, type="alert")

        made = await m.wait_for_event(MADE, after=start)
        assert made is not None
        task = await m.claim_task(str(made.data["task_id"]), agent="grace")
        assert task is not None
        print(f"grace inspects {task.payload['host']}")
        await m.complete_task(task.id)
        print(f"fired {(await m.get_trigger(trigger.id)).fired} time")
        await m.remove_trigger(trigger.id)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "memory:")
