"""The process that shows what a store takes in memory: `python -m mycelium_server.bench.grower`.

It reads an `Order` as JSON, adds so many agents and tasks, and prints by how many bytes it has grown and how large it
is.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from mycelium import Mycelium
from mycelium_server.bench.team import KIND, metadata, payload

PAGES: Final = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Order:
    """What to do. It comes by stdin, since everybody may read a command line, and the URL may hold a password."""

    url: str
    agents: int
    tasks: int


def resident() -> int:
    """Bytes of memory that this process has; where the system does not tell, the most that it ever had."""
    if PAGES.exists():
        return int(PAGES.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


async def main(order: Order) -> None:
    """Grow, and tell how much that was."""
    async with Mycelium.open(order.url, agent="grower", background=False) as m:
        await _add(m, "warm", 100, 0)  # the same each time, and the first time does not count
        before = resident()
        await _add(m, "agent", order.agents, order.tasks)
        after = resident()
    sys.stdout.write(json.dumps({"grown": after - before, "whole": after}))


async def _add(m: Mycelium, name: str, agents: int, tasks: int) -> None:
    for start in range(0, max(agents, tasks), 100):
        async with m.pipeline() as p:
            for number in range(start, min(start + 100, agents)):
                p.store_agent_status(f"{name}-{number}", "busy", metadata=metadata(number))
            for number in range(start, min(start + 100, tasks)):
                p.create_task(KIND, title=f"task {number}", payload=payload(number))


if __name__ == "__main__":
    anyio.run(main, Order(**json.load(sys.stdin)))
