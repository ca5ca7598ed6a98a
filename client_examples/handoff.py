"""Two agents hand work over: ada asks, grace waits for it, does it, and ada reads the result. Nobody polls.

    python client_examples/handoff.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is a temporary one.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    reply = await client.call_tool(tool, arguments)
    if reply.is_error:
        raise RuntimeError(reply.content)
    return reply.structured_content or {}


async def wait_for(client: Client, event_type: str, task_id: str, after: int) -> None:
    """Return once this has happened to the task; events after number `after` count."""
    while True:
        page = await call(client, "read_events", channels=["tasks:events"], after=after, wait_seconds=30)
        if any(each["type"] == event_type and each["data"]["task_id"] == task_id for each in page["events"]):
            return
        after = page["cursor"]


async def main(store: str) -> None:
    def server(agent: str) -> StdioServerParameters:
        arguments = ["-m", "mycelium_server", "serve", "--backend", store, "--agent", agent]
        return StdioServerParameters(command=sys.executable, args=arguments)

    async def grace(start: int) -> None:
        async with Client(server("grace")) as client:
            while (task := (await call(client, "claim_task", types=["sum"]))["task"]) is None:
                page = await call(client, "read_events", channels=["tasks:events"], after=start, wait_seconds=30)
                start = page["cursor"]
            print(f"grace: claimed {task['title']!r}")
            await call(client, "complete_task", task_id=task["id"], result={"sum": sum(task["payload"]["numbers"])})

    async with Client(server("ada")) as ada, anyio.create_task_group() as agents:
        start = (await call(ada, "read_events", limit=1))["cursor"]
        agents.start_soon(grace, start)
        task = {"type": "sum", "title": "Add these up", "payload": {"numbers": [1, 2, 3]}, "assigned_to": "grace"}
        task_id = (await call(ada, "create_task", **task))["task_id"]
        print(f"ada:   created {task['title']!r} for grace")
        await wait_for(ada, "task.completed", task_id, start)
        print(f"ada:   got {(await call(ada, 'get_task', task_id=task_id))['task']['result']}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'team.db'}")
