"""A worker that has done much is no larger than one that has done little."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from tests.support.redis import RedisServer

JOBS, FEW = 50_000, 5_000
PROGRAM = """
import gc, json, sys
import anyio
from mycelium import Mycelium
from mycelium_worker.executors.registry import Executors
from mycelium_worker.store_source import open_store_source
from mycelium_worker.worker import Worker
from tests.worker.loop import NoTools

async def nothing(attempt):
    return {}

def own_bytes():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

async def main(url, marks):
    sizes = []
    def hear(outcome):
        assert outcome.ended == "completed", outcome
        if worker.tally.total in marks:
            sizes.append(own_bytes())
    async with Mycelium.open(url) as m, open_store_source(m) as source:
        worker = Worker(m, [source], Executors({"nothing": nothing}), NoTools(), concurrency=100, hear=hear)
        await worker.run(until_empty=True)
    print(json.dumps(sizes))

anyio.run(main, sys.argv[1], [int(mark) for mark in sys.argv[2:]])
"""


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_fifty_thousand_jobs_take_no_more_memory_than_five_thousand(redis: RedisServer) -> None:
    # In Redis: SQLite's own cache of pages grows with the file, up to 64 MiB.
    url = redis.url("memory")
    async with Mycelium.open(url, background=False) as m:
        for _ in range(JOBS // 1000):
            await m.create_tasks(["nothing"] * 1000)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, url, str(FEW), str(JOBS)]
    with anyio.fail_after(1000):
        done = await anyio.run_process(command, cwd=root)
    after_few, after_all = json.loads(done.stdout)
    assert after_all <= after_few * 1.1
