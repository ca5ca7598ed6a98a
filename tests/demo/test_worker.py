"""The worker's part in the demo: a real `mycelium worker` beside the agents."""

import os
import signal
import sys
from pathlib import Path

import pytest

import mycelium_worker
from mycelium.models import Task
from mycelium_server.demo.analysis import FILES, KINDS, TOOL
from tests.demo.running import Demo, demo_running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these tests send POSIX signals")

ANALYSES = FILES * len(KINDS)


async def analyses(demo: Demo) -> list[Task]:
    found = await demo.m.list_tasks(limit=100)
    return [task for task in found.records if task.type == TOOL]


async def test_the_worker_analyses_the_longest_files_and_the_report_has_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "careless.py").write_text('import os\n\n\ndef f(x):\n    os.system("rm " + x)\n' * 9)
    async with demo_running(tmp_path, pace=0) as demo:
        code, said = await demo.ended()
        assert code == 0, said
        tasks = await analyses(demo)
        started = await demo.m.read_events(["tasks:events"], limit=1000)
        worker = await demo.m.get_agent_status("worker")
    assert [task.status for task in tasks] == ["completed"] * ANALYSES
    who = {(event.source, str(event.data["task_type"])) for event in started.events if event.type == "task.started"}
    assert {of for source, of in who if source == "worker"} == {TOOL}
    assert {source for source, of in who if of == TOOL} == {"worker"}
    assert worker.metadata["executors"] == [TOOL]
    assert "| `careless.py` | 9 |" in demo.report
    assert "`S605` in line 5" in demo.report
    assert "There is no summary" not in demo.report
    assert "worker    finished analyse-01: security of careless.py" in said


async def test_a_worker_that_is_killed_is_replaced_and_nothing_is_missing(tmp_path: Path) -> None:
    async with demo_running(tmp_path, pace=0) as demo:
        first = (await demo.until("task.started", "worker")).data["task_id"]
        os.kill(await demo.agents_pid("worker"), signal.SIGKILL)
        code, said = await demo.ended()
        assert code == 0, said
        assert {task.status for task in await analyses(demo)} == {"completed"}
        assert (await demo.m.get_task(str(first))).attempt == 2
    assert "Not analysed" not in demo.report


async def test_a_worker_whose_tools_do_not_start_is_not_waited_for(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "mycelium_worker"
    broken.mkdir(parents=True)
    ours = Path(mycelium_worker.__file__).parent
    (broken / "__init__.py").write_text(
        f"__path__ = [{str(ours)!r}]\nimport sys\nsys.modules['mycelium_worker.executors.tool'] = None\n"
    )
    async with demo_running(tmp_path, pace=0, PYTHONPATH=str(broken.parent)) as demo:
        code, said = await demo.ended()
        assert {task.status for task in await analyses(demo)} <= {"failed", "cancelled"}
    assert code == 1
    assert "cannot be loaded" in said
    assert "No file was analysed." in demo.report
    assert "| Python files | 9 |" in demo.report


async def test_a_model_whose_package_is_missing_does_not_hinder_the_worker(tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text("import sys; sys.modules['openai'] = None\n")
    model = {"MYCELIUM_WORKER_PROVIDER": "openai", "MYCELIUM_OPENAI_API_KEY": "none"}
    async with demo_running(tmp_path, pace=0, PYTHONPATH=str(tmp_path / "without"), **model) as demo:
        code, said = await demo.ended()
        assert {task.status for task in await analyses(demo)} == {"completed"}
    assert code == 0, said
    (log,) = tmp_path.glob("**/worker.log")
    assert "pip install 'mycelium-mcp[openai]'" in log.read_text()


async def test_without_a_worker_that_can_live_the_report_says_what_is_missing(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "mycelium_worker"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('not installed')\n")
    async with demo_running(tmp_path, pace=0, PYTHONPATH=str(broken.parent)) as demo:
        code, said = await demo.ended()
        assert {task.status for task in await analyses(demo)} == {"cancelled"}
    assert code == 1
    assert "The survey is not whole: no worker was left for its part." in said
    assert "No file was analysed." in demo.report
    assert "- `module_0.py` (security): the task was called off: no worker was left to do it" in demo.report
    assert "| Python files | 9 |" in demo.report
