"""The whole demo: real agents, each a process with its own MCP server, on one store."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mycelium.models import Task
from mycelium_server.demo.survey import MEASURE, Measures
from tests.demo.running import AGENTS, FILES, Demo, arguments, demo_running, environment, write_project
from tests.support.processes import MYCELIUM, PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these tests send POSIX signals")


async def measuring(demo: Demo) -> list[Task]:
    found = await demo.m.list_tasks(limit=100)
    return [task for task in found.records if task.type == MEASURE]


async def test_three_agents_share_the_survey_and_report_on_every_file(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=0.2) as demo:
        code, said = await demo.ended()
        assert code == 0, said
        results = [Measures.model_validate(task.result) for task in await measuring(demo)]
        (workflow,) = (await demo.m.list_workflows()).records
    assert workflow.status == "completed"
    assert {each.agent for each in results} == set(AGENTS)
    assert sorted(file.path for each in results for file in each.files) == [f"module_{n}.py" for n in range(FILES)]
    assert f"| Python files | {FILES} |" in demo.report
    assert f"| Unused imports | {FILES} |" in demo.report


async def test_without_a_terminal_it_tells_what_happens_line_by_line(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=0) as demo:
        code, said = await demo.ended()
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == f"Mycelium: 3 agents and a worker survey {tmp_path / 'project'}"
    for agent in AGENTS:
        assert any(line.endswith(f"{agent:<10}joined") for line in lines)
    assert any("finished measure-01: module_0.py" in line for line in lines)
    assert f"Report    {tmp_path / 'report.md'}" in lines
    assert f"Store     sqlite:///{tmp_path / 'store.db'}" in lines
    assert "claude_desktop_config.json" in said
    assert said.replace("\n", "").isprintable()


async def test_the_others_finish_when_an_agent_is_killed(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=1) as demo:
        await demo.until("task.progress", "ada", task_type=MEASURE)
        os.kill(await demo.agents_pid("ada"), signal.SIGKILL)
        await demo.until("agent.status", "ada", status="offline")
        code, said = await demo.ended()
        assert code == 0, said
        assert {task.status for task in await measuring(demo)} == {"completed"}
    assert f"| Python files | {FILES} |" in demo.report


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's process in /proc")
async def test_a_task_comes_back_when_an_agent_and_its_server_are_killed_at_once(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=0.5) as demo:
        lost = (await demo.until("task.progress", "ada", task_type=MEASURE)).data["task_id"]
        pid = await demo.agents_pid("ada")
        for each in (server_of(pid), pid):
            os.kill(each, signal.SIGKILL)
        code, said = await demo.ended()
        assert code == 0, said
        task = await demo.m.get_task(str(lost))
    assert (task.status, task.attempt) == ("completed", 2)
    assert "its lease ran out" in said


def server_of(pid: int) -> int:
    """The server that this agent, or the worker, has started; ruff, too, is its child now and then."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    kinds = (b"\0serve\0", b"\0workbench\0")
    (server,) = [
        int(child) for child in children if any(kind in Path(f"/proc/{child}/cmdline").read_bytes() for kind in kinds)
    ]
    return server


async def test_it_fails_when_no_agent_is_left(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=5) as demo:
        for agent in AGENTS:
            await demo.until("task.started", agent)
            os.kill(await demo.agents_pid(agent), signal.SIGKILL)
        code, said = await demo.ended()
        (workflow,) = (await demo.m.list_workflows()).records
    assert code == 1
    assert "The survey failed: no agent was left to go on." in said
    assert workflow.status == "failed"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    async with demo_running(tmp_path, pace=5) as demo:
        await demo.until("task.completed", "worker")
        await demo.until("task.progress", None, task_type=MEASURE)
        pids = [await demo.agents_pid(name) for name in (*AGENTS, "worker")]
        demo.process.send_signal(number)
        ended = await demo.ended()
        assert ended[0] == code
        assert "The survey was stopped." in ended[1]
        assert not [pid for pid in pids if is_alive(pid)]
        (workflow,) = (await demo.m.list_workflows()).records
        assert workflow.status == "failed"
        assert not (await demo.m.list_tasks(status="running")).records


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="waits for processes that are not its own children")
async def test_nothing_is_left_when_the_demo_itself_is_killed(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=5) as demo:
        await demo.until("task.completed", "worker")
        agents = [await demo.agents_pid(name) for name in (*AGENTS, "worker")]
        processes = [os.pidfd_open(pid) for agent in agents for pid in (agent, server_of(agent))]
        demo.process.kill()
        with anyio.fail_after(PATIENCE):
            for process in processes:
                await anyio.wait_readable(process)
                os.close(process)
        assert not (await demo.m.list_tasks(status="running")).records


async def test_it_goes_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=0) as demo:
        assert demo.process.stdout is not None
        await demo.process.stdout.aclose()
        with anyio.fail_after(PATIENCE):
            assert await demo.process.wait() == 0
    assert f"| Python files | {FILES} |" in demo.report


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["missing"], "'missing' is not a folder"),
        (["--agents", "0"], "0 agents are not between 1 and 16"),
        (["--pace", "-1"], "pace of -1 seconds"),
        (["--backend", "memory:"], "a store in memory belongs to one process"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_starts(
    tmp_path: Path, wrong: list[str], said: str
) -> None:
    done = await anyio.run_process([MYCELIUM, "demo", *wrong], cwd=tmp_path, env=environment(tmp_path), check=False)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert not list(tmp_path.iterdir())


async def test_on_a_terminal_it_shows_agents_tasks_and_bars(tmp_path: Path) -> None:
    from tests.demo.terminal import run_on_terminal

    write_project(tmp_path / "project")
    with anyio.fail_after(PATIENCE):
        code, said = await run_on_terminal(arguments(tmp_path, 0.5), environment(tmp_path), columns=100, lines=40)
    assert code == 0
    for shown in (
        *AGENTS,
        "worker",
        "12 done",
        "busy",
        "1 done",
        "Measure part 1 of 9",
        "Whole survey",
        "━",
        "■",
        "Events",
        "Report",
    ):
        assert shown in said
