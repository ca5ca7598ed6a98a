"""Three workers and one broker, all of which are killed, stopped and cut off: each task is done and answered once."""

import itertools
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import anyio
import anyio.to_thread
import pytest

from mycelium import Mycelium
from tests.network.conftest import NewTeam
from tests.network.crowd import ask, asking, collecting, declared
from tests.network.proof import problems
from tests.network.workers import WORKS, Team
from tests.support.proxy import Proxy, proxy_to
from tests.support.rabbitmq import Names, rabbit_server
from tests.support.redis import RedisServer
from tests.support.workers import WorkerProcess

WORKERS = 3
LEASE = 2.0
STOPPED = 1.5 * LEASE
"""Seconds for which a worker is stopped: its leases have run out when it goes on."""
Strokes: TypeAlias = Sequence[Callable[[], Awaitable[None]]]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/team.db"
    server: RedisServer = request.getfixturevalue("redis")
    return server.url(f"fire-{uuid4().hex}")


class Crew:
    """Workers that are replaced whenever they die, until they are asked to end."""

    def __init__(self, team: Team) -> None:
        self.running: dict[str, WorkerProcess] = {}
        self.codes: list[int] = []
        """What those said at their end who are gone."""
        self._team = team
        self._names = itertools.count()
        self._over = False

    async def keep_one(self) -> None:
        while not self._over:
            name = f"worker-{next(self._names)}"
            async with self._team.worker(name) as worker:
                self.running[name] = worker
                self.codes.append(await worker.process.wait())
                del self.running[name]

    async def end(self) -> None:
        """Have those who are there end as a supervisor does, and replace nobody."""
        self._over = True
        self.codes.clear()
        for worker in list(self.running.values()):
            await worker.has_said(WORKS)
            worker.process.send_signal(signal.SIGTERM)


class Fire:
    """All that is done to them."""

    def __init__(self, crew: Crew, corner: Names, door: Proxy) -> None:
        self._crew = crew
        self._corner = corner
        self._door = door
        self._turn = itertools.count()

    def _victim(self) -> WorkerProcess:
        there = list(self._crew.running.values())
        return there[next(self._turn) % len(there)]

    async def kill_worker(self) -> None:
        os.kill(self._victim().process.pid, signal.SIGKILL)

    async def stop_worker(self) -> None:
        victim = self._victim().process
        os.kill(victim.pid, signal.SIGSTOP)
        try:
            await anyio.sleep(STOPPED)  # as long as the fire lasts, not a wait for something
        finally:
            os.kill(victim.pid, signal.SIGCONT)

    async def cut_connections(self) -> None:
        self._door.cut()

    async def kill_broker(self) -> None:
        await anyio.to_thread.run_sync(self._corner.server.kill)
        await anyio.to_thread.run_sync(self._corner.server.start)

    @property
    def each(self) -> Strokes:
        """One of each kind."""
        return [self.kill_worker, self.cut_connections, self.kill_broker, self.stop_worker]

    @property
    def many(self) -> Strokes:
        """The broker twice, and the others in between."""
        between = [self.kill_worker, self.cut_connections, self.stop_worker, self.kill_worker]
        return [*between, self.kill_broker, *between, self.kill_broker, *between]


async def burn(m: Mycelium, strokes: Strokes, count: int) -> int:
    """Strike again and again while the tasks are done, at even distances; how often it was."""
    done, struck, step = 0, 0, count // (len(strokes) + 1)
    async for event in m.follow_events(["tasks:events"], after=0):
        done += event.type == "task.completed"
        if struck < len(strokes) and done >= (struck + 1) * step:
            await strokes[struck]()
            struck += 1
        if done >= count:
            return struck
    raise AssertionError("the log has no end")


@asynccontextmanager
async def scene(folder: Path) -> AsyncGenerator[tuple[Names, Proxy]]:
    """A node of its own, and a door to it."""
    with rabbit_server(folder / "rabbitmq") as server:
        corner = Names(server)
        await declared(corner)
        async with proxy_to(server.port) as door:
            yield corner, door


async def check(url: str, new_team: NewTeam, folder: Path, *, count: int, many: bool, limit: float, **env: str) -> None:
    ids = [f"task-{number}" for number in range(count)]
    messages = [asking(id, "note", seconds=0.05) for id in ids]
    struck = 0
    with anyio.fail_after(limit):
        async with scene(folder) as (corner, door), Mycelium.open(url, agent="watcher") as m:
            behind_door = corner.settings(port=door.port)
            crew = Crew(new_team(url, behind_door, MYCELIUM_WORKER_LEASE_SECONDS=str(LEASE), **env))
            fire = Fire(crew, corner, door)
            strokes = fire.many if many else fire.each
            async with collecting(corner) as collector, anyio.create_task_group() as tasks:
                for _ in range(WORKERS):
                    tasks.start_soon(crew.keep_one)
                tasks.start_soon(ask, corner, messages)
                struck = await burn(m, strokes, count)
                await collector.all_of(ids)
                await crew.end()
            assert struck == len(strokes)
            assert crew.codes == [0] * WORKERS
            assert await problems(m, ids, collector.answers) == []
            print(f"{count} tasks, {struck} strokes, {collector.answers.copies} copies")  # noqa: T201


async def test_each_task_is_done_and_answered_once_under_fire(tmp_path: Path, url: str, new_team: NewTeam) -> None:
    await check(url, new_team, tmp_path, count=300, many=False, limit=110)


@pytest.mark.soak
@pytest.mark.parametrize("swarm", ["false", "true"])
async def test_each_of_two_thousand_tasks_is_done_and_answered_once_under_fire(
    tmp_path: Path, url: str, new_team: NewTeam, swarm: str
) -> None:
    await check(url, new_team, tmp_path, count=2000, many=True, limit=900, SWARM_MODE=swarm)
