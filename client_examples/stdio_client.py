"""An MCP client of your own: start a Mycelium server over stdio, then create, claim and complete a task.

    python client_examples/stdio_client.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is a temporary one.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters


def server(store: str, agent: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=["-m", "mycelium_server", "serve", "--backend", store, "--agent", agent]
    )


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    reply = await client.call_tool(tool, arguments)
    if reply.is_error:
        raise RuntimeError(reply.content)
    return reply.structured_content or {}


async def main(store: str) -> None:
    async with Client(server(store, "ada")) as client:
        tools = await client.list_tools()
        print(f"connected: {len(tools.tools)} tools")

        created = await call(client, "create_task", type="greet", title="Say hello", payload={"to": "world"})
        print(f"created {created['task_id']}")

        # Nobody else gets this task while we hold it; the server renews our lease as long as we are connected.
        task = (await call(client, "claim_task", types=["greet"]))["task"]
        print(f"claimed {task['id']} with payload {task['payload']}")

        result = {"said": f"hello, {task['payload']['to']}"}
        done = await call(client, "complete_task", task_id=task["id"], result=result)
        print(f"{done['task']['status']} with result {done['task']['result']}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'team.db'}")
