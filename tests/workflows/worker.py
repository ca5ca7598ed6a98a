"""One worker of these tests, as a process: claims, works for a moment, completes. It may be killed at any time.

python -m tests.workflows.worker URL NAME SECONDS_OF_WORK
"""

import sys
from contextlib import suppress

import anyio

from mycelium import Mycelium
from mycelium.errors import MyceliumError, StaleLease
from mycelium.models import Task

LEASE = 2.0


async def work(url: str, name: str, seconds: float) -> None:
    async with Mycelium.open(url, agent=name) as m:
        while True:
            cursor = await m.last_seq()
            task = await m.claim_task(lease_seconds=LEASE)
            if task is None:
                await m.read_events(["tasks:events"], after=cursor, wait_seconds=1)
                continue
            await do(m, task, seconds)


async def do(m: Mycelium, task: Task, seconds: float) -> None:
    await anyio.sleep(seconds)  # this is the work, not a wait for something
    with suppress(StaleLease):
        await m.complete_task(task.id, {"by": m.agent, "saw": len(task.payload)})


if __name__ == "__main__":
    _, url, name, seconds = sys.argv
    with suppress(KeyboardInterrupt, MyceliumError):
        anyio.run(work, url, name, float(seconds))
