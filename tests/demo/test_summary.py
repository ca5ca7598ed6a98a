"""The report's summary, which a model writes: the real client against a scripted endpoint on this machine."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client

from mycelium import Mycelium
from mycelium_server.assembly.server import build_server, store_at
from mycelium_server.demo import summarizing
from mycelium_server.demo.files import Listing
from mycelium_server.demo.report import Survey
from mycelium_server.demo.summarizing import summary_of
from mycelium_server.demo.survey import REPORT, SUMMARY, Worker
from mycelium_server.demo.team import Claimed, Team
from tests.demo.running import demo_running
from tests.support.model_endpoint import Endpoint, model_endpoint
from tests.support.model_script import Answer, Say, Script, Status

KEY = "sk-of-nobody"
SURVEY = Survey(name="project", listing=Listing(), parts=())
WORKER = Worker(name="worker", queue="ours")


async def report_with(tmp_path: Path, script: Script) -> tuple[str, str, Endpoint]:
    """The report and what the demo said, when the model says this."""
    async with model_endpoint(script) as endpoint:
        variables = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": endpoint.url}
        async with demo_running(tmp_path, 0, **variables) as demo:
            code, said = await demo.ended()
            assert code == 0, said
            return demo.report, said, endpoint


@pytest.mark.skipif(sys.platform == "win32", reason="ends the demo with a POSIX signal")
async def test_a_models_summary_stands_at_the_top_of_the_report(tmp_path: Path) -> None:
    report, said, endpoint = await report_with(tmp_path, [Answer([Say("# Well\nAll is well.\x1b[2J")])])
    assert not endpoint.refused
    (asked,) = endpoint.asked
    assert "Write the summary" in asked.last
    assert "module_0.py" in asked.last
    assert not asked.tools
    assert report.index("## Summary\n\n*By the model of worker.*\n\nWell\nAll is well.") < report.index("## Findings")
    assert "\x1b" not in report
    assert "finished summary" in said
    assert KEY not in said + report


@pytest.mark.skipif(sys.platform == "win32", reason="ends the demo with a POSIX signal")
async def test_without_an_answer_the_report_stands_and_says_why(tmp_path: Path) -> None:
    report, _, _ = await report_with(tmp_path, lambda _: Status(401, "authentication_error", "invalid x-api-key"))
    assert "*There is no summary: the task was called off: " in report
    assert "invalid x-api-key" in report
    assert "| Python files | 9 |" in report


class Scene:
    """A store with a worker that says what it does, and an agent that reports."""

    def __init__(self, m: Mycelium, team: Team) -> None:
        self.m = m
        self.team = team
        self.task = Claimed(id="", type=REPORT)

    async def asks(self) -> str:
        with anyio.fail_after(30):
            return await summary_of(SURVEY, WORKER, self.task, self.team)


@asynccontextmanager
async def scene(folder: Path, *executors: str) -> AsyncGenerator[Scene]:
    url = f"sqlite:///{folder / 'store.db'}"
    async with Mycelium.open(url, agent="worker") as m, Client(build_server(store_at(url, "ada"))) as client:
        await m.store_agent_status("worker", metadata={"executors": list(executors)})
        found = Scene(m, Team(client, "ada"))
        await m.create_task(REPORT)
        claimed = await found.team.claim([REPORT], 60)
        assert claimed is not None
        found.task = claimed
        yield found


async def test_nobody_is_asked_where_no_model_is_configured(tmp_path: Path) -> None:
    async with scene(tmp_path, "tool") as found:
        assert await found.asks() == ""
        assert len((await found.m.list_tasks()).records) == 1


async def test_a_summary_that_takes_too_long_is_called_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarizing, "PATIENCE", 0.2)
    async with scene(tmp_path, SUMMARY) as found:
        assert await found.asks() == "*There is no summary: the task was called off: the summary took too long.*"
        (task,) = [each for each in (await found.m.list_tasks()).records if each.type == SUMMARY]
        assert (task.status, task.queue) == ("cancelled", "ours")


async def test_an_agent_that_takes_over_finds_the_summary_that_was_asked_for(tmp_path: Path) -> None:
    async with scene(tmp_path, SUMMARY) as found:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(found.asks)
            with anyio.fail_after(30):
                event = await found.m.wait_for_event(
                    {"channel": "tasks:events", "type": "task.created"}, wait_seconds=30
                )
                while event is None or event.data["task_type"] != SUMMARY:
                    event = await found.m.wait_for_event(
                        {"channel": "tasks:events", "type": "task.created"}, wait_seconds=30
                    )
            task = await found.m.claim_task(queues=["ours"])
            assert task is not None
            await found.m.update_task(task.id, spent={"tokens": 100, "turns": 1})
            await found.m.complete_task(task.id, {"response": [{"type": "text", "text": "Good."}]})
        assert "Good." in await found.asks()
        assert len([each for each in (await found.m.list_tasks()).records if each.type == SUMMARY]) == 1
