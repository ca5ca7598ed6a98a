"""A task that failed for good parks as a dead letter, and is done again when somebody says so."""

import json
import os
import subprocess
from pathlib import Path

import anyio
import anyio.to_thread

from mycelium import Mycelium
from tests.network.reading import Reader
from tests.network.test_relay import relaying
from tests.network.test_seed import MYCELIUM
from tests.support.rabbitmq import Names

PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""


async def command(corner: Names, url: str, *args: str) -> str:
    """What `mycelium` prints."""
    settings = [f"rabbitmq.{name}={value}" for name, value in {
        "host": "127.0.0.1", "port": corner.server.port, "exchange": corner.name, "queue_prefix": corner.name,
    }.items()]  # fmt: skip
    flags = [flag for each in settings for flag in ("--set", each)]
    line = [str(MYCELIUM), *flags, *args, "--backend", url]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False, env={**os.environ})
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_parked_task_is_listed_with_its_history_and_done_again(tmp_path: Path, corner: Names) -> None:
    url = f"sqlite:///{tmp_path / 'team.db'}"
    async with relaying(url, corner) as m:
        task = await m.create_task("poison", max_attempts=2, retry_backoff=0)
        await fail_for_good(m, task.id)
        with anyio.fail_after(PATIENCE):
            while await Reader(corner).count("dead_letters") == 0:  # noqa: ASYNC110 - the broker tells nobody
                await anyio.sleep(0.05)
        (letter,) = json.loads(await command(corner, url, "dead-letters", "--json"))["letters"]
        assert (letter["reason"], letter["task"], letter["says"]) == ("task_failed", task.id, "broken")
        told = [each["type"] for each in letter["history"]]
        assert told == ["task.created", "task.started", "task.retrying", "task.started", "task.failed"]
        assert await Reader(corner).count("dead_letters") == 1
        await command(corner, url, "dead-letters", "replay", letter["id"])
        assert await Reader(corner).count("dead_letters") == 0
        assert await m.claim_task(task.id) is not None
        await m.complete_task(task.id, {"ok": True})


async def fail_for_good(m: Mycelium, task_id: str) -> None:
    for _ in range(2):
        await m.claim_task(task_id)
        await m.fail_task(task_id, "broken")
