"""An agent that is told to end, by Ctrl-C or SIGTERM, leaves in order: another can go on at once.

    python client_examples/leaving.py [STORE_URL]

STORE_URL is for instance sqlite:///team.db; without it, the store is a temporary one.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path

import anyio

from mycelium import Mycelium


async def cancel_when_told(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            print(f"told to end by {number.name}")
            scope.cancel()


async def work(m: Mycelium) -> None:
    """Claim a task and work on it for ever; say goodbye however that ends."""
    try:
        task = await m.claim_task()
        print(f"{m.agent}: began with {task.type if task else 'nothing'}")
        os.kill(os.getpid(), signal.SIGTERM)  # as the system would, or a person with Ctrl-C
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):  # what has to be said is said, although all else is being cancelled
            await m.leave()


async def main(store: str) -> None:
    async with Mycelium.open(store, agent="lead") as lead:
        task = await lead.create_task("long")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_when_told, tasks.cancel_scope)
            async with Mycelium.open(store, agent="ada") as m:  # its end gives the lease back
                await work(m)
        ada, left = await lead.get_agent_status("ada"), await lead.get_task(task.id)
        print(f"ada is {ada.status}, the task is {left.status} after {left.attempt} attempts")
        await lead.claim_task(task.id)
        await lead.complete_task(task.id)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'team.db'}")
