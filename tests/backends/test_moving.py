"""`mycelium export | mycelium import`: from any kind of store into any other, nothing is lost and nothing changes.

Exports are compared byte for byte. Their order is part of the promise: tasks, agents and workflows, each in the order
of their creation, then the log by its numbers.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha1
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, TypeAlias

import pytest

from mycelium import Mycelium
from tests.contract.suite.transfer import fill
from tests.support.clock import FakeClock
from tests.support.redis import RedisServer
from tests.support.store import PATIENCE, snapshot

KINDS = ["sqlite", "taskqueue", "markdown", "redis"]
"""Every kind of store that outlives a process."""
MANY = 20_000
MEGABYTE = 1024 * 1024
WRITER_MAY_TAKE = 120 * MEGABYTE
"""An export is written as it is read; 50 MB are Python and what it imports."""
READER_MAY_TAKE = 400 * MEGABYTE
"""An import is held whole until it is known to be sound, in about 5 kB for each task and its event."""

UrlOf: TypeAlias = Callable[[str, str], str]
"""The URL of a store of this kind and name, which is this test's own."""


@pytest.fixture
def url_of(tmp_path: Path, request: pytest.FixtureRequest) -> UrlOf:
    own = sha1(str(tmp_path).encode(), usedforsecurity=False).hexdigest()

    def url(kind: str, name: str) -> str:
        if kind == "redis":
            server: RedisServer = request.getfixturevalue("redis")
            return server.url(f"{own}-{name}")
        return f"{kind}:///{tmp_path}/{kind}-{name}{'' if kind == 'markdown' else '.db'}"

    return url


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "mycelium_server", *args]


def moved(source: str, target: str) -> None:
    """`mycelium export | mycelium import`, as two processes."""
    with subprocess.Popen(command("export", "--backend", source), stdout=subprocess.PIPE) as writing:
        subprocess.run(command("import", "--backend", target), stdin=writing.stdout, check=True, timeout=PATIENCE)
    assert writing.returncode == 0


async def kept_in(url: str) -> list[str]:
    """The lines of the store's export."""
    async with Mycelium.open(url, agent="eve", background=False) as m:
        return await snapshot(m)


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_moves_byte_for_byte_while_it_is_in_use(url_of: UrlOf, kind: str, into: str) -> None:
    source, target = url_of(kind, "source"), url_of(into, "target")
    async with Mycelium.open(source, agent="ada", background=False) as m:
        await fill(m, FakeClock(datetime.now(UTC)))
        before = await snapshot(m)
        moved(source, target)
        assert await kept_in(target) == before
        assert await snapshot(m) == before


async def test_a_store_that_went_through_all_kinds_is_still_the_same_and_goes_on(url_of: UrlOf) -> None:
    way = [*(url_of(kind, "one") for kind in KINDS), url_of("sqlite", "two")]
    async with Mycelium.open(way[0], agent="ada", background=False) as m:
        ids = await fill(m, FakeClock(datetime.now(UTC)))
        before = await snapshot(m)
        token = (await m.get_task(ids["held"])).token
        for source, target in pairwise(way):
            moved(source, target)
    assert await kept_in(way[-1]) == before
    async with Mycelium.open(way[-1], agent="ada", background=False) as m:
        last = await m.last_seq()
        assert (await m.complete_task(ids["held"], lease_token=token)).status == "completed"
        assert [event.seq for event in (await m.read_events(after=last)).events] == [last + 1]


def many_lines() -> Iterator[str]:
    """An export of many tasks, each with its event."""
    yield '{"kind": "mycelium", "format": 1}'
    at = "2030-01-01T00:00:00Z"
    for number in range(MANY):
        task = {
            "id": f"t-{number}",
            "type": "build",
            "payload": {"text": "x" * 200},
            "created_at": at,
            "updated_at": at,
        }
        yield json.dumps({"kind": "task", **task})
    for number in range(MANY):
        event = {
            "seq": number + 1,
            "id": f"s-{number + 1}",
            "channel": "tasks:events",
            "type": "task.created",
            "time": at,
        }
        yield json.dumps({"kind": "event", **event, "data": {"task_id": f"t-{number}"}})
    yield json.dumps({"kind": "end", "count": 2 * MANY})


WATCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
"""A small process, since one that is started counts the memory of the one that starts it."""


def peak(*args: str, into: BinaryIO | None = None) -> int:
    """Run a command to its end; the bytes of memory it took at most."""
    watched = [sys.executable, "-c", WATCHER, *command(*args)]
    done = subprocess.run(watched, stdout=into, stderr=subprocess.PIPE, check=True, timeout=PATIENCE)
    return int(done.stderr.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("kind", ["sqlite", "redis", pytest.param("markdown", marks=pytest.mark.soak)])
def test_many_tasks_move_in_bounded_memory(url_of: UrlOf, tmp_path: Path, kind: str) -> None:
    given, taken, url = tmp_path / "given.jsonl", tmp_path / "taken.jsonl", url_of(kind, "many")
    given.write_text("\n".join(many_lines()))
    assert peak("import", str(given), "--backend", url) < READER_MAY_TAKE
    with taken.open("wb") as lines:
        assert peak("export", "--backend", url, into=lines) < WRITER_MAY_TAKE
    expected = [json.loads(line) for line in many_lines()]
    assert [json.loads(line) for line in taken.read_text().splitlines()] == expected
