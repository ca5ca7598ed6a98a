"""A person's yes or no, asked for through the MCP client's own prompt, in both eras."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import (
    ElicitRequestFormParams,
    ElicitResult,
    ErrorData,
    Implementation,
    InputRequiredResult,
    InputResponses,
)

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium.models import Task
from mycelium_backends.memory import MemoryBackend
from tests.support.connection import PATIENCE, Connection, connect

both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])
DESK = Implementation(name="desk", version="1")


@dataclass
class Desk:
    """A person at a client, who says the same to every question."""

    says: ElicitResult | ErrorData
    questions: list[str] = field(default_factory=list[str])

    async def answer(self, _context: object, params: object) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams)
        assert set(params.requested_schema["properties"]) == {"approve", "note"}
        self.questions.append(params.message)
        return self.says

    @property
    def options(self) -> dict[str, Any]:
        return {"elicitation_callback": self.answer, "client_info": DESK}


def yes(note: str = "") -> Desk:
    return Desk(ElicitResult(action="accept", content={"approve": True, "note": note}))


def no(note: str = "") -> Desk:
    return Desk(ElicitResult(action="accept", content={"approve": False, "note": note}))


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(system_clock)


async def asking_task(backend: MemoryBackend, **fields: Any) -> Task:
    async with Mycelium.over(backend, agent="boss", background=False) as m:
        return await m.create_task("deploy", title="To production", approval="Deploy now?", **fields)


@both_eras
@pytest.mark.parametrize("tool", ["claim_task", "get_task", "wait_for"])
async def test_a_person_is_asked_where_an_agent_comes_upon_the_task(
    backend: MemoryBackend, mode: str, tool: str
) -> None:
    task, desk = await asking_task(backend), yes("after lunch")
    async with connect(backend, "ada", mode=mode, **desk.options) as ada:
        more = {"wait_seconds": 0} if tool == "wait_for" else {}
        answered = await ada.ask(tool, task_id=task.id, **more)
        await ada.call(tool, task_id=task.id, **more)
    assert [question.splitlines()[0] for question in desk.questions] == ["Deploy now?"]
    assert f"Task {task.id} (deploy: To production)" in desk.questions[0]
    approved = answered["task"]["approved"]
    assert (approved["by"], approved["note"]) == ("desk", "after lunch")
    assert answered["task"]["status"] == ("running" if tool == "claim_task" else "pending")


@both_eras
async def test_a_no_calls_the_task_off(backend: MemoryBackend, mode: str) -> None:
    task, desk = await asking_task(backend), no("not on Friday")
    async with connect(backend, "ada", mode=mode, **desk.options) as ada:
        refused = await ada.refused("claim_task", task_id=task.id)
        assert refused["code"] == "illegal_transition"
        found = (await ada.ask("get_task", task_id=task.id))["task"]
    assert (found["status"], found["error"]["error"]) == ("cancelled", "rejected by desk: not on Friday")


NO_ANSWERS: dict[str, ElicitResult | ErrorData] = {
    "declined": ElicitResult(action="decline"),
    "dismissed": ElicitResult(action="cancel"),
    "empty": ElicitResult(action="accept"),
    "unreadable": ElicitResult(action="accept", content={"approve": "maybe"}),
}


@both_eras
@pytest.mark.parametrize("says", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_no_answer_leaves_the_task_waiting_and_is_not_asked_for_again(
    backend: MemoryBackend, mode: str, says: ElicitResult
) -> None:
    task, desk = await asking_task(backend), Desk(says)
    async with connect(backend, "ada", mode=mode, **desk.options) as ada:
        for _ in range(2):
            refused = await ada.refused("claim_task", task_id=task.id)
            assert (refused["code"], refused["approval"]) == ("not_claimable", "Deploy now?")
            assert f"mycelium approve {task.id}" in refused["hint"]
        assert f"mycelium approve {task.id}" in await ada.text("get_task", task_id=task.id)
    assert len(desk.questions) == 1


async def test_a_client_that_fails_to_ask_leaves_the_task_waiting(backend: MemoryBackend) -> None:
    task, desk = await asking_task(backend), Desk(ErrorData(code=-32603, message="no screen"))
    async with connect(backend, "ada", **desk.options) as ada:
        assert (await ada.refused("claim_task", task_id=task.id))["code"] == "not_claimable"


@both_eras
async def test_a_client_that_cannot_ask_gets_told_how_a_person_answers(backend: MemoryBackend, mode: str) -> None:
    task = await asking_task(backend)
    async with connect(backend, "ada", mode=mode) as ada:
        assert f"mycelium approve {task.id}" in (await ada.refused("claim_task", task_id=task.id))["hint"]
        for tool, more in (("get_task", {}), ("wait_for", {"wait_seconds": 0})):
            shown = await ada.text(tool, task_id=task.id, **more)
            assert shown.splitlines()[0].endswith("unapproved")
            assert f"approval: Deploy now? - only a person can say yes: mycelium approve {task.id}" in shown
        assert (await ada.ask("claim_task"))["task"] is None


@both_eras
async def test_nobody_is_asked_about_what_waits_for_something_else_too(backend: MemoryBackend, mode: str) -> None:
    async with Mycelium.over(backend, agent="boss", background=False) as m:
        first = await m.create_task("build")
    task, desk = await asking_task(backend, depends_on=[first.id]), yes()
    async with connect(backend, "ada", mode=mode, **desk.options) as ada:
        await ada.refused("claim_task", task_id=task.id)
        assert (await ada.refused("get_task", task_id="t-gone"))["code"] == "not_found"
        await ada.ask("get_task", task_id=first.id)
    assert desk.questions == []


@both_eras
@pytest.mark.parametrize("fields", [{"assigned_to": "bob"}, {"capabilities": ["gpu"]}], ids=["assigned", "misfit"])
async def test_nobody_is_asked_where_this_agent_could_not_have_the_task(
    backend: MemoryBackend, mode: str, fields: dict[str, Any]
) -> None:
    task, desk = await asking_task(backend, **fields), yes()
    async with connect(backend, "ada", mode=mode, **desk.options) as ada:
        assert (await ada.refused("claim_task", task_id=task.id))["code"] == "not_claimable"
        assert desk.questions == []
        await ada.ask("get_task", task_id=task.id)
        assert len(desk.questions) == 1


@both_eras
async def test_nobody_is_asked_for_an_agent_in_error(backend: MemoryBackend, mode: str) -> None:
    async with Mycelium.over(backend, agent="ada", background=False) as m:
        for _ in range(5):
            failing = await m.create_task("x")
            await m.claim_task(failing.id)
            await m.fail_task(failing.id, "no")
    task, desk = await asking_task(backend), yes()
    async with connect(backend, "ada", mode=mode, **desk.options) as ada:
        assert (await ada.refused("claim_task", task_id=task.id))["code"] == "not_claimable"
    assert desk.questions == []


async def test_an_answer_to_a_question_that_was_changed_meanwhile_is_none(backend: MemoryBackend) -> None:
    task = await asking_task(backend)
    async with connect(backend, "ada", mode="auto", **yes().options) as ada:
        answer: InputResponses = {task.id: ElicitResult(action="accept", content={"approve": True})}
        again = await ada.client.session.call_tool(
            "get_task", {"task_id": task.id}, input_responses=answer, request_state=f"{task.id} Drop the database?",
            allow_input_required=True,
        )  # fmt: skip
        assert isinstance(again, InputRequiredResult)
        assert list(again.input_requests or {}) == [task.id]
    async with Mycelium.over(backend, background=False) as m:
        assert (await m.get_task(task.id)).approved is None


@both_eras
async def test_a_real_server_over_stdio_asks_through_the_real_client(tmp_path: Path, mode: Any) -> None:
    url, desk = f"sqlite:///{tmp_path}/team.db", yes()
    async with Mycelium.open(url, agent="boss", background=False) as m:
        task = await m.create_task("deploy", approval="Deploy now?")
    command = ["-m", "mycelium_server", "serve", "--backend", url, "--agent", "ada"]
    server = StdioServerParameters(command=sys.executable, args=command)
    with anyio.fail_after(3 * PATIENCE):
        async with Client(server, mode=mode, **desk.options) as client:
            claimed = await Connection(client).ask("claim_task", task_id=task.id)
    assert claimed["task"]["approved"]["by"] == "desk"
    assert len(desk.questions) == 1
