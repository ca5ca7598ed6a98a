"""Noticing that a task under way is no longer this worker's."""

from __future__ import annotations

import logging
from collections.abc import Set
from typing import Final

import anyio

from mycelium import Mycelium, MyceliumError
from mycelium.models import Task
from mycelium_worker.doing import Doing

log = logging.getLogger("mycelium.worker")

PACE: Final = 1.0
"""Seconds between two looks, at least, however much happens in the store."""
LONGEST: Final = 10.0
"""Seconds until a look that no ring asked for."""


async def watch_leases(client: Mycelium, under_way: Set[Doing]) -> None:
    """Stop whatever was cancelled, timed out, or was claimed by others, a second or so after it was. Without end.

    The records are read, not the log: a busy store's log has several events for each task, most of them others'.
    """
    async with client.backend.changes() as bell:
        while True:
            with anyio.move_on_after(LONGEST):
                await bell.wait()
            if under_way:
                await _look(client, list(under_way))
            await anyio.sleep(PACE)


async def _look(client: Mycelium, doings: list[Doing]) -> None:
    try:
        found = await client.backend.get(Task, [doing.job.task.id for doing in doings])
    except MyceliumError as error:
        log.info("whether leases were lost is not known: %s", error)
        return
    for doing, now in zip(doings, found, strict=True):
        if now is None or now.status != "running" or now.token != doing.job.task.token:
            doing.stop("lost", now)
