"""Every form of a Redis URL leads to a store: one server, a socket, Sentinel, Cluster."""

import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis as plain_redis
from anyio import to_thread

from mycelium.client.base import system_clock
from mycelium.errors import BackendUnavailable, InvalidInput, StoreReadOnly, UnknownBackend
from mycelium_backends.redis import open_backend
from mycelium_backends.redis.address import parse
from mycelium_backends.redis.place import find_place
from tests.backends.redis_store import opened
from tests.support.redis import RedisServer, find_server, free_port, redis_server
from tests.support.store import PATIENCE, claimed, snapshot


async def work(url: str) -> None:
    """Everything that goes another way in the driver: changes, claims, listings, the bell, a dump."""
    async with opened(url) as m, opened(url) as other:
        workflow = await m.create_workflow("w", ["a", "b"])
        for _ in workflow.tasks:
            task = await claimed(other)
            await other.complete_task(task.id)
        assert (await m.get_workflow(workflow.id)).status == "completed"
        heard = anyio.Event()
        after = await m.last_seq()

        async def listen() -> None:
            await m.read_events(["c"], after=after, wait_seconds=PATIENCE)
            heard.set()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await other.publish_event("c")
                await heard.wait()
        assert len(await snapshot(m)) > 8


async def test_a_socket(tmp_path: Path, redis: RedisServer) -> None:
    with redis_server(tmp_path / "own", "--unixsocket", str(tmp_path / "s"), "--unixsocketperm", "700"):
        await work(f"redis+unix://{tmp_path}/s?namespace=socket")


async def test_a_numbered_database(redis: RedisServer) -> None:
    await work(f"redis://127.0.0.1:{redis.port}/5?namespace=numbered")
    with plain_redis.Redis(port=redis.port, db=5) as plain:
        assert plain.exists("{numbered}:store:meta")


def join(nodes: list[RedisServer], ports: list[int]) -> None:
    """Make one cluster of two nodes, each with half of the slots."""
    with nodes[0].plain() as first, nodes[1].plain() as second:
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        second.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        first.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, ports[1])


def is_whole(node: RedisServer) -> bool:
    with node.plain() as plain:
        return "cluster_state:ok" in str(plain.execute_command("CLUSTER", "INFO"))


async def test_a_cluster(tmp_path: Path, redis: RedisServer) -> None:
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        options = [("--cluster-enabled", "yes", "--cluster-port", str(port)) for port in ports]
        nodes = [stack.enter_context(redis_server(tmp_path / option[-1], *option)) for option in options]
        join(nodes, ports)
        await until(lambda: all(is_whole(node) for node in nodes))
        for namespace in ("one", "two", "three", "four"):  # some on the one node, some on the other
            url = f"redis+cluster://127.0.0.1:{nodes[0].port}?namespace={namespace}"
            assert not await to_thread.run_sync(find_place(url).exists)
            await work(url)
            findings = {each.subject: each for each in await to_thread.run_sync(find_place(url).examine)}
            assert "1 workflows" in findings["content"].says
            assert findings["server"].level == "ok"


@pytest.fixture
def sentinel(tmp_path: Path, redis: RedisServer) -> Generator[tuple[str, RedisServer, RedisServer]]:
    """A URL, the primary and its replica; the sentinel is quick to give a primary up."""
    with ExitStack() as stack:
        primary = stack.enter_context(redis_server(tmp_path / "a"))
        replica = stack.enter_context(redis_server(tmp_path / "b", "--replicaof", "127.0.0.1", str(primary.port)))
        port = free_port()
        settings = tmp_path / "sentinel.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nlogfile {tmp_path}/sentinel.log\n"
            f"sentinel monitor team 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds team 300\nsentinel failover-timeout team 2000\n"
        )
        process = subprocess.Popen([find_server(), str(settings), "--sentinel"], stdin=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield f"redis+sentinel://127.0.0.1:{port}/0?service=team&namespace=s", primary, replica


async def until(true: Callable[[], bool]) -> None:
    """Wait until this holds."""
    with anyio.fail_after(60):
        while not await to_thread.run_sync(true):
            await anyio.lowlevel.checkpoint()


def replicates(server: RedisServer) -> bool:
    with server.plain() as plain:
        info = plain.info("replication")
        return info["role"] == "slave" and info["master_link_status"] == "up"


async def test_work_goes_on_when_a_replica_takes_over(sentinel: tuple[str, RedisServer, RedisServer]) -> None:
    url, primary, replica = sentinel
    await until(lambda: replicates(replica))

    def known_to_sentinel() -> bool:
        port = int(url.partition("/0")[0].rpartition(":")[2])
        try:
            client: Any = plain_redis.Redis(port=port)
            with client as asked:
                return bool(asked.execute_command("SENTINEL", "REPLICAS", "team"))
        except plain_redis.ConnectionError:
            return False

    await until(known_to_sentinel)
    async with opened(f"{url}&retry_attempts=3&retry_delay_ms=50") as m:
        before = await m.create_task("before")
        with primary.plain() as plain:
            assert plain.wait(1, 5000) == 1
        primary.kill()
        with anyio.fail_after(60):
            while True:
                try:
                    await m.create_task("after")
                    break
                except (BackendUnavailable, StoreReadOnly):
                    continue
        assert (await m.get_task(before.id)) == before
        with replica.plain() as plain:
            assert plain.exists("{s}:store:meta")


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("redis://localhost", "redis://localhost:6379?namespace=mycelium"),
        ("redis://ada:pw@host:7000/3?namespace=team", "redis://host:7000/3?namespace=team"),
        ("rediss://:p%40ss@host", "rediss://host:6379?namespace=mycelium"),
        ("redis://[::1]:7000", "redis://[::1]:7000?namespace=mycelium"),
        ("redis+unix:///run/redis.sock?namespace=n", "redis+unix:///run/redis.sock?namespace=n"),
        ("redis+sentinel://a,b:27000/0?service=s", "redis+sentinel://a:26379,b:27000/0?namespace=mycelium&service=s"),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2?namespace=mycelium"),
    ],
)
def test_the_public_form_of_a_url_leads_to_the_same_store_without_its_secrets(url: str, public: str) -> None:
    assert parse(url).public == public
    again = parse(public)
    assert (again.hosts, again.path, again.settings) == (parse(url).hosts, parse(url).path, parse(url).settings)
    assert again.password is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://", "redis:///0", "redis://a,b", "redis://host:99999", "redis://host:x", "redis://host/x",
        "redis+cluster://a/3", "redis+sentinel://", "redis+unix:", "http://host",
    ],
)  # fmt: skip
async def test_a_url_that_leads_nowhere_is_refused_by_name(url: str) -> None:
    with pytest.raises(UnknownBackend) as caught:
        await open_backend(url, system_clock)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("namespace", "a/b"), ("namespace", "{x}"), ("namespace", ""), ("retry_attempts", "-1"),
        ("retry_attempts", "many"), ("operation_timeout_seconds", "0"), ("retry_delay_ms", "nan"), ("no_such", "1"),
    ],
)  # fmt: skip
async def test_a_wrong_setting_in_a_url_is_refused_by_name(setting: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await open_backend(f"redis://localhost?{setting}={value}", system_clock)
    assert setting in str(caught.value)
