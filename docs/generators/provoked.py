"""Errors as they come: each is provoked, so that its text is real."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import anyio

from generators.replies import Clock
from mycelium import Mycelium, MyceliumError
from mycelium.errors import InvalidMcpFile
from mycelium_backends.memory import MemoryBackend
from mycelium_backends.sqlite.errors import full, locked, read_only
from mycelium_backends.sqlite.schema import APPLICATION_ID
from mycelium_worker.servers.file import read_servers

Scene: TypeAlias = Callable[[Mycelium, Mycelium], Awaitable[object]]
SHOWN: Final = Path("/home/ada/team.db")
"""Stands for the temporary files."""


async def _finished(ada: Mycelium, _grace: Mycelium) -> None:
    task = await ada.create_task("review")
    await ada.cancel_task(task.id)
    await ada.claim_task(task.id)


async def _stale(ada: Mycelium, grace: Mycelium) -> None:
    task = await ada.create_task("review")
    await grace.claim_task(task.id)
    await ada.complete_task(task.id, lease_token=1)


async def _held(ada: Mycelium, grace: Mycelium) -> None:
    task = await ada.create_task("review")
    await grace.claim_task(task.id)
    await ada.claim_task(task.id)


async def _blocked(ada: Mycelium, _grace: Mycelium) -> None:
    first = await ada.create_task("build")
    task = await ada.create_task("deploy", depends_on=[first.id])
    await ada.claim_task(task.id)


async def _conflict(ada: Mycelium, _grace: Mycelium) -> None:
    await ada.create_task("review", payload={"pull_request": 7}, idempotency_key="pr-7")
    await ada.create_task("review", payload={"pull_request": 8}, idempotency_key="pr-7")


async def _over_budget(ada: Mycelium, _grace: Mycelium) -> None:
    task = await ada.create_task("review", budget={"tokens": 1000})
    await ada.claim_task(task.id)
    await ada.update_task(task.id, spent={"tokens": 1200})


async def _unfit(ada: Mycelium, _grace: Mycelium) -> None:
    task = await ada.create_task("train", capabilities=["gpu"])
    await ada.claim_task(task.id)


async def _driven(ada: Mycelium, grace: Mycelium) -> None:
    workflow = await grace.create_workflow("migration")
    await grace.update_workflow(workflow.id, progress=0.5)
    await ada.complete_workflow(workflow.id)


CIRCLE: Final = [{"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}]
SCENES: Final[tuple[Scene, ...]] = (
    lambda ada, _: ada.create_task("review", max_attempts=0),
    lambda ada, _: ada.get_task("../etc/passwd"),
    lambda ada, _: ada.list_tasks(cursor="yesterday"),
    lambda ada, _: ada.read_events(after=99),
    lambda ada, _: ada.create_task("review", payload={"text": "x" * 2_000_000}),
    lambda ada, _: ada.create_task("deploy", depends_on=["t-gone"]),
    lambda ada, _: ada.create_workflow("release", CIRCLE),
    lambda ada, _: ada.create_workflow("scan", ["survey", {"name": "read", "for_each": "surwey.result.files"}]),
    lambda ada, _: ada.create_trigger({"schedule": {"cron": "0 9 31 2 *"}}, {"task": {"type": "report"}}),
    lambda ada, _: ada.get_task("t-gone"),
    _finished,
    _stale,
    _held,
    _blocked,
    _unfit,
    _over_budget,
    _conflict,
    _driven,
)

MCP_FILE: Final = """{
  "mcpServers": {
    "files": {"comand": "npx", "url": "${FILES}"}
  }
}"""


@cache
def provoked() -> list[MyceliumError]:
    """One error of each kind, and more where one kind has several causes."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            *anyio.run(_by_calls),
            *anyio.run(_by_opening, Path(folder)),
            _by_reading(Path(folder)),
            *_by_the_system(),
        ]


async def _by_calls() -> list[MyceliumError]:
    clock = Clock()
    found: list[MyceliumError] = []
    for scene in SCENES:
        backend = MemoryBackend(clock)
        async with (
            Mycelium.over(backend, agent="ada", clock=clock, background=False) as ada,
            Mycelium.over(backend, agent="grace", clock=clock, background=False) as grace,
        ):
            found.append(await _error_of(scene(ada, grace)))
    return found


async def _by_opening(folder: Path) -> list[MyceliumError]:
    damaged, newer, taken = folder / "damaged.db", folder / "newer.db", folder / "file"
    await anyio.Path(damaged).write_bytes(b"no database " * 100)
    await anyio.Path(taken).write_text("not a folder")
    with closing(sqlite3.connect(newer)) as connection:
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 99; VACUUM")
    urls = [
        "postgres://db",
        "sqlite://team.db",
        "auto:?coordination.redis.bd=3",
        f"sqlite:///{damaged}",
        f"sqlite:///{newer}",
        f"sqlite:///{taken}/team.db",
    ]
    return [_without(await _error_of(_open(url)), folder) for url in urls]


def _by_reading(folder: Path) -> MyceliumError:
    file = folder / "mcp.json"
    file.write_text(MCP_FILE)
    try:
        read_servers(file, {})
    except InvalidMcpFile as error:
        return _without(error, folder, shown=Path("/home/ada/mcp.json"))
    raise AssertionError("this was to fail")


def _by_the_system() -> list[MyceliumError]:
    """What takes another process, another user or a full disk: their texts, without the trouble."""
    return [read_only(SHOWN), full(SHOWN), locked(SHOWN, 4711)]


async def _open(url: str) -> None:
    async with Mycelium.open(url, background=False):
        pass


async def _error_of(trouble: Awaitable[object]) -> MyceliumError:
    try:
        await trouble
    except MyceliumError as error:
        return error
    raise AssertionError("this was to fail")


def _without(error: MyceliumError, folder: Path, *, shown: Path = SHOWN) -> MyceliumError:
    """The error without a path that changes from run to run."""
    for path in folder.iterdir():
        error.message = error.message.replace(str(path), str(shown))
    return error
