"""What agents and tasks take: memory of the process that uses the store, of the server that keeps it, and the disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import anyio

from mycelium_server.bench.figures import Size
from mycelium_server.bench.ground import SIZES, Ground
from mycelium_server.bench.grower import Order

COUNTS: Final = (200, 2000)
"""At least and at most so many agents, and so many tasks, are added to see by how much everything grows."""
STEPS: Final = 3
PATIENCE: Final = 120.0
"""Seconds for each of the three."""


async def measure_sizes(ground: Ground, calls: int, step: Callable[[], None]) -> list[Size]:
    """Add agents, then tasks, each in a process of its own, and see what has grown; as many as calls are made."""
    count = min(max(calls, COUNTS[0]), COUNTS[1])
    sizes: list[Size] = []
    before = await _grown(ground, 0, 0)
    step()
    sizes.append(Size("memory of a process with the store open", before["whole"]))
    for agents, tasks, name, per in ((count, 0, "per agent", 1), (0, count, "per 1,000 tasks", 1000)):
        after = await _grown(ground, agents, tasks)
        step()
        sizes.append(Size(f"memory of the process, {name}", max(0, after["grown"]) * per / count))
        sizes += [
            Size(f"{where}, {name}", max(0, after[where] - before[where]) * per / count)
            for where in ("memory of the server", "disk")
            if where in after
        ]
        before = after
    return sizes


async def _grown(ground: Ground, agents: int, tasks: int) -> dict[str, int]:
    """What there is after so many were added, and how much the process that added them has grown."""
    command = [sys.executable, "-m", "mycelium_server.bench.grower"]
    order = json.dumps(asdict(Order(ground.url_of_sizes, agents, tasks))).encode()
    with anyio.fail_after(PATIENCE):
        # In a session of its own, so that Ctrl-C reaches this process alone, which then ends it.
        done = await anyio.run_process(command, input=order, stderr=None, start_new_session=True)
    found: dict[str, int] = json.loads(done.stdout)
    if ground.server is not None:
        found["memory of the server"] = (await ground.server.info("memory"))["used_memory"]
    elif ground.folder is not None:
        found["disk"] = sum(_on_disk(file) for file in (ground.folder / SIZES).rglob("*"))
    return found


def _on_disk(file: Path) -> int:
    """Bytes that a file takes from the disk: whole blocks, where the system tells them."""
    found = file.stat()
    return getattr(found, "st_blocks", found.st_size // 512 + 1) * 512
