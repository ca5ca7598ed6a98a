"""`mycelium worker` as processes: how they begin, are seen, are told to end, and die."""

import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from tests.demo.terminal import run_on_terminal
from tests.support.model_endpoint import model_endpoint
from tests.support.model_script import Answer, Say
from tests.support.processes import PATIENCE
from tests.worker.loop import ended
from tests.worker.processes import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
async def m(ground: Ground) -> AsyncGenerator[Mycelium]:
    async with Mycelium.open(ground.url, agent="ada") as client:
        yield client


async def test_until_empty_does_all_there_is_and_ends(ground: Ground, m: Mycelium) -> None:
    tasks = await m.create_tasks([{"type": "echo", "payload": {"say": number}} for number in range(20)])
    async with ground.worker("--until-empty", "--concurrency", "3") as worker:
        assert await worker.ends() == 0
        assert "Ended: 20 completed." in worker.err
    assert {told["task_id"] for told in worker.outcomes} == {task.id for task in tasks}
    assert [(await m.get_task(task.id)).result["echo"] for task in tasks] == list(range(20))  # pyright: ignore[reportOptionalSubscript]


async def test_once_does_one_and_waits_for_it(ground: Ground, m: Mycelium) -> None:
    async with ground.worker("--once") as worker:
        await worker.has_said("works on")
        await m.create_tasks(["echo"] * 2)
        assert await worker.ends() == 0
    assert [told["ended"] for told in worker.outcomes] == ["completed"]
    assert (await m.get_stats()).ready == 1


async def test_once_ends_with_1_where_the_task_failed(ground: Ground, m: Mycelium) -> None:
    await m.create_task("leave")
    async with ground.worker("--once") as worker:
        assert await worker.ends() == 1
    assert [told["ended"] for told in worker.outcomes] == ["failed"]


async def test_a_worker_is_seen_from_its_start_to_its_end(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("wait", payload=ground.waiting("a"), capabilities=["gpu"])
    args = ["--agent", "wanda", "--capability", "gpu", "--capability", "cuda", "--concurrency", "2"]
    async with ground.worker(*args) as worker:
        await ground.has_begun("a")
        (wanda,) = [agent for agent in (await m.list_agents()).records if agent.name == "wanda"]
        assert (wanda.status, wanda.active_tasks, wanda.capabilities) == ("busy", (task.id,), ("gpu", "cuda"))
        assert wanda.metadata == {
            "pid": worker.process.pid,
            "host": socket.gethostname(),
            "version": wanda.metadata["version"],
            "concurrency": 2,
            "sources": ["store"],
            "swarm": False,
            "executors": ["broken", "code_analysis", "echo", "imported", "leave", "tool", "wait"],
        }
        ground.let_end("a")
        await ended(m, task.id)
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
    assert (await m.get_agent_status("wanda")).status == "offline"


async def test_a_worker_without_a_name_makes_one_of_its_host(ground: Ground, m: Mycelium) -> None:
    async with ground.worker("--until-empty") as worker:
        assert await worker.ends() == 0
    (name,) = [agent.name for agent in (await m.list_agents()).records if agent.name.startswith("worker-")]
    assert name in worker.err


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_it_end_what_it_has_and_take_nothing_more(
    ground: Ground, m: Mycelium, signum: signal.Signals
) -> None:
    first = await m.create_task("wait", payload=ground.waiting("a"))
    async with ground.worker("--concurrency", "1") as worker:
        await ground.has_begun("a")
        second = await m.create_task("echo")
        worker.process.send_signal(signum)
        await worker.has_said("nothing new is taken, 1 task still running")
        ground.let_end("a")
        assert await worker.ends() == 0
    assert (await m.get_task(first.id)).status == "completed"
    assert (await m.get_task(second.id)).status == "pending"


async def test_what_takes_longer_than_the_drain_is_another_workers_at_once(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("wait", payload=ground.waiting("a"))
    async with ground.worker("--agent", "first", "--drain-seconds", "0.1") as first:
        await ground.has_begun("a")
        first.process.send_signal(signal.SIGTERM)
        assert await first.ends() == 0
        assert first.outcomes[0]["ended"] == "released"
    assert (await m.get_task(task.id)).attempt == 0
    ground.let_end("a")
    async with ground.worker("--until-empty") as second:
        assert await second.ends() == 0
    assert (await m.get_task(task.id)).status == "completed"


async def test_a_second_signal_ends_it_at_once(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("wait", payload=ground.waiting("a"))
    async with ground.worker("--drain-seconds", "3600") as worker:
        await ground.has_begun("a")
        worker.process.send_signal(signal.SIGTERM)
        await worker.has_said("nothing new")
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 130
    assert (await m.get_task(task.id)).status == "pending"


async def test_a_hangup_changes_nothing(ground: Ground, m: Mycelium) -> None:
    async with ground.worker("--once") as worker:
        await worker.has_said("works on")
        worker.process.send_signal(signal.SIGHUP)
        await m.create_task("echo")
        assert await worker.ends() == 0
    assert worker.outcomes[0]["ended"] == "completed"


async def test_a_worker_that_is_killed_is_waited_for_and_another_does_its_task(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("wait", payload=ground.waiting("a"))
    lease: dict[str, Any] = {"MYCELIUM_WORKER_LEASE_SECONDS": "1"}
    async with ground.worker(**lease) as first, ground.worker(**lease) as second:
        await ground.has_begun("a")
        holder = (await m.get_task(task.id)).agent
        await first.has_said("works on")
        await second.has_said("works on")
        killed, left = (first, second) if str(holder) in first.err else (second, first)
        killed.process.kill()
        ground.let_end("a")
        (told,) = await left.has_told(1)
    assert (told["ended"], told["attempt"]) == ("completed", 2)
    (done,) = await ended(m, task.id)
    assert done.result == {"pid": left.process.pid}


async def test_an_executor_that_ends_its_process_only_fails_its_task(ground: Ground, m: Mycelium) -> None:
    await m.create_tasks(["leave", "broken", "echo"])
    async with ground.worker("--until-empty", "--concurrency", "1") as worker:
        assert await worker.ends() == 0
    told = {each["type"]: (each["ended"], each.get("code")) for each in worker.outcomes}
    assert told == {
        "leave": ("failed", "crashed"),
        "broken": ("failed", "executor_broken"),
        "echo": ("completed", None),
    }


async def test_without_a_model_only_what_can_be_done_is_claimed(ground: Ground, m: Mycelium) -> None:
    paint = await m.create_task("paint")
    await m.create_task("echo")
    async with ground.worker("--until-empty") as worker:
        assert await worker.ends() == 0
        assert "no model is configured" in worker.err
    assert (await m.get_task(paint.id)).status == "pending"
    assert [told["type"] for told in worker.outcomes] == ["echo"]


async def test_only_the_types_and_queues_that_are_asked_for_are_served(ground: Ground, m: Mycelium) -> None:
    specs: list[dict[str, Any]] = [
        {"type": "echo", "queue": "gpu"}, {"type": "echo"}, {"type": "leave", "queue": "gpu"},
    ]  # fmt: skip
    wanted, *_ = await m.create_tasks(specs)
    async with ground.worker("--until-empty", "--type", "echo", "--queue", "gpu") as worker:
        assert await worker.ends() == 0
    assert [told["task_id"] for told in worker.outcomes] == [wanted.id]


async def test_a_worker_imports_no_protocol_and_no_model_before_it_needs_one(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("imported")
    async with ground.worker("--until-empty", ANTHROPIC_API_KEY="none") as worker:
        assert await worker.ends() == 0
    assert (await m.get_task(task.id)).result == {"heavy": []}


async def test_health_is_told_in_a_file_that_goes_with_the_worker(ground: Ground, m: Mycelium) -> None:
    file = ground.folder / "health.json"
    await m.create_task("wait", payload=ground.waiting("a"))
    async with ground.worker("--health-file", str(file), "--agent", "wanda") as worker:
        await ground.has_begun("a")
        with anyio.fail_after(PATIENCE):
            said = await anyio.to_thread.run_sync(first_busy, file, abandon_on_cancel=True)
        assert (said["status"], said["agent"], said["connected"], said["pid"]) == (
            "working", "wanda", True, worker.process.pid,
        )  # fmt: skip
        assert stat.S_ISREG(file.stat().st_mode)
        ground.let_end("a")
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
    assert not file.exists()
    assert not list(ground.folder.glob("health.json*"))


def first_busy(file: Path) -> dict[str, Any]:
    """What the file says once a task runs: it is written every other second."""
    while (said := json.loads(file.read_text()))["running"] != 1:
        time.sleep(0.05)
    return said


async def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
    """The code and the body of an answer."""
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = b""
            async for chunk in stream:
                answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_health_is_told_over_http_and_a_draining_worker_is_not_ready(ground: Ground, m: Mycelium) -> None:
    await m.create_task("wait", payload=ground.waiting("a"))
    async with ground.worker("--health-port", "0") as worker:
        await worker.has_said("/health and /ready.\n")
        assert worker.err.index("works on") < worker.err.index("Health: http://")
        port = int(worker.err.partition("http://127.0.0.1:")[2].partition("/")[0])
        await ground.has_begun("a")
        code, said = await get(port, "/health")
        assert (code, said["status"], said["running"], said["sources"]) == (200, "working", 1, {"store": True})
        assert (await get(port, "/ready"))[0] == 200
        assert (await get(port, "/metrics"))[0] == 404
        assert (await get(port, "/health", "POST"))[0] == 405
        worker.process.send_signal(signal.SIGTERM)
        await worker.has_said("nothing new")
        assert (await get(port, "/ready"))[0] == 503
        code, said = await get(port, "/health")
        assert (code, said["status"]) == (200, "draining")
        ground.let_end("a")
        assert await worker.ends() == 0


async def test_a_port_that_is_taken_is_a_wrong_flag(ground: Ground) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with ground.worker("--health-port", str(taken.getsockname()[1])) as worker:
            assert await worker.ends() == 2
    assert json.loads(worker.err.splitlines()[-1])["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--type", "paint"], 2, "Nobody here does tasks of type paint"),
        (["--swarm"], 2, "no RabbitMQ is configured"),
        (["--swarm", "--queue", "gpu"], 2, "are the store's"),
        (["--agent", "no name"], 2, "is not a valid id"),
        (["--concurrency", "0"], 2, "--concurrency"),
        (["--backend", "sqlite:////proc/nowhere/team.db"], 3, "cannot be used"),
        (["--backend", "nosuch://x"], 3, "No backend"),
        (["--health-file", "nowhere/health.json"], 2, "No such file or directory: 'nowhere/health.json'"),
        (["--mcp-file", "nowhere.json"], 2, "There is no file nowhere.json."),
    ],
)
async def test_what_cannot_be_is_refused_at_the_start(ground: Ground, args: list[str], code: int, said: str) -> None:
    async with ground.worker(*args, as_json=False) as worker:
        assert await worker.ends() == code
    assert said in worker.err
    assert "Traceback" not in worker.err


@pytest.mark.parametrize("args", [(), ("--type", "echo")])
async def test_a_model_whose_package_is_missing_is_told_at_the_start(ground: Ground, args: tuple[str, ...]) -> None:
    (ground.folder / "plugin" / "sitecustomize.py").write_text("import sys; sys.modules['openai'] = None\n")
    async with ground.worker(*args, MYCELIUM_WORKER_PROVIDER="openai", OPENAI_API_KEY="none") as worker:
        assert await worker.ends() == 2
    error = json.loads(worker.err)["error"]
    assert (error["code"], error["fields"]) == ("invalid_config", ["worker.provider"])
    assert error["hint"] == "Install it with: pip install 'mycelium-mcp[openai]'"


async def test_each_mistake_in_the_file_of_servers_is_a_line(ground: Ground) -> None:
    file = ground.folder / "mcp.json"
    file.write_text('{"mcpServers": {\n"a": {"command": "no-such-command"},\n"b": {}}}')
    async with ground.worker("--mcp-file", "mcp.json", as_json=False) as worker:
        assert await worker.ends() == 2
    first, second = worker.err.splitlines()
    assert first.startswith("invalid_mcp_file: mcp.json:2:18: server 'a': there is no command 'no-such-command'")
    assert second.startswith("mcp.json:3:1: server 'b': neither 'command' nor 'url'")


async def test_swarm_mode_can_be_configured_and_be_switched_off(ground: Ground) -> None:
    async with ground.worker("--until-empty", SWARM_MODE="true") as worker:
        assert await worker.ends() == 2
    async with ground.worker("--until-empty", "--no-swarm", SWARM_MODE="true") as worker:
        assert await worker.ends() == 0


async def test_people_see_a_line_for_each_task(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("echo")
    command = ["mycelium", "worker", "--until-empty"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with anyio.fail_after(PATIENCE):
        code, text = await run_on_terminal(command, {**ground.env, "PATH": path}, columns=120, lines=40)
    assert code == 0
    assert f"completed  {task.id}  echo" in text


async def test_no_level_of_the_log_writes_down_what_a_model_is_asked(ground: Ground, m: Mycelium) -> None:
    task = await m.create_task("question", payload={"prompt": "Where is the PORCUPINE?"})
    async with model_endpoint([Answer([Say("In the attic.")])]) as endpoint:
        model: dict[str, Any] = {
            "ANTHROPIC_API_KEY": "key",
            "ANTHROPIC_BASE_URL": endpoint.url,
            "MYCELIUM_LOG": "DEBUG",
        }
        async with ground.worker("--until-empty", **model) as worker:
            assert await worker.ends() == 0
    assert (await m.get_task(task.id)).status == "completed"
    assert "DEBUG" in worker.err
    assert "PORCUPINE" not in worker.err


async def test_nothing_but_outcomes_is_on_stdout(ground: Ground, m: Mycelium) -> None:
    await m.create_task("echo")
    async with ground.worker("--until-empty", as_json=False) as worker:
        assert await worker.ends() == 0
    assert worker.out == ""


async def test_without_a_terminal_each_outcome_is_a_line_of_the_log(ground: Ground, m: Mycelium) -> None:
    good, bad = await m.create_tasks(["echo", "leave"])
    async with ground.worker("--until-empty", as_json=False) as worker:
        assert await worker.ends() == 0
    lines = [line for line in worker.err.splitlines() if "mycelium.worker.outcomes" in line]
    (completed,) = [line for line in lines if good.id in line]
    (failed,) = [line for line in lines if bad.id in line]
    assert f"INFO mycelium.worker.outcomes: completed {good.id} (echo, attempt 1) after" in completed
    assert f"WARNING mycelium.worker.outcomes: failed {bad.id} (leave, attempt 1) after" in failed
    assert failed.endswith(": crashed: 3")


async def test_a_level_that_was_asked_for_is_kept(ground: Ground, m: Mycelium) -> None:
    good, bad = await m.create_tasks(["echo", "leave"])
    async with ground.worker("--until-empty", as_json=False, MYCELIUM_LOG="WARNING") as worker:
        assert await worker.ends() == 0
    assert good.id not in worker.err
    assert f"failed {bad.id}" in worker.err
