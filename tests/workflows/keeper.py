"""A client that keeps house until it is killed, as a process: python -m tests.workflows.keeper URL."""

import sys

import anyio

from mycelium import Mycelium


async def keep(url: str) -> None:
    async with Mycelium.open(url, agent="doomed"):
        print("open", flush=True)  # noqa: T201 - what the test waits for
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(keep, sys.argv[1])
