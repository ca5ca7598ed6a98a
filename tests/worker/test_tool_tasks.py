"""`tool` and `code_analysis` tasks, over a real MCP server."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

import pytest

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_worker.executors.code_analysis import analyze_code
from mycelium_worker.executors.registry import Executors
from mycelium_worker.executors.tool import do_tool
from mycelium_worker.model import Busy, Message, Rejected, Text, Turn, Usage
from mycelium_worker.toolbox import Tool
from tests.worker.loop import NoTools, work_off
from tests.worker.tools import SmallToolbox, small_toolbox


def blocks(task: Task) -> list[Any]:
    """What the task came to, as whoever waits for an answer reads it."""
    assert task.result is not None
    return cast("list[Any]", task.result["response"])


EXECUTORS = {"tool": do_tool, "code_analysis": analyze_code}


@pytest.fixture
async def m() -> AsyncGenerator[Mycelium]:
    async with Mycelium.open("memory:", agent="wanda") as client:
        yield client


@pytest.fixture
async def toolbox() -> AsyncGenerator[SmallToolbox]:
    async with small_toolbox() as box:
        yield box


async def done(m: Mycelium, box: Any, type: str, payload: dict[str, Any], model: Any = None, **spec: Any) -> Task:
    """A task of this payload after one attempt."""
    task = await m.create_task(type, payload=payload, **spec)
    await work_off(m, EXECUTORS, toolbox=box, model=model)
    return await m.get_task(task.id)


async def test_what_a_tool_answers_for_programs_is_the_result(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "tool", {"tool": "small_add", "arguments": {"a": 2, "b": 3}})
    assert task.result == {"response": [{"type": "tool_use", "name": "small_add", "results": {"sum": 5}}]}


async def test_what_a_tool_answers_in_words_is_the_result_too(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "tool", {"tool": "small_shout", "arguments": {"word": "hi"}, "agent_id": "x"})
    assert task.result == {"response": [{"type": "tool_use", "name": "small_shout", "results": "HI!"}]}


async def test_a_tool_that_fails_fails_its_task_for_good(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "tool", {"tool": "small_fail"}, max_attempts=3)
    assert task.status == "failed"
    assert task.error is not None
    assert (task.error["code"], task.error["tool"]) == ("tool_failed", "small_fail")
    assert "the well is dry" in str(task.error["error"])


async def test_a_server_that_died_is_worth_another_attempt(m: Mycelium, toolbox: SmallToolbox) -> None:
    toolbox.dead = True
    task = await done(m, toolbox, "tool", {"tool": "small_add"}, max_attempts=2, retry_backoff=3600)
    assert (task.status, task.attempt) == ("pending", 1)


async def test_the_payload_says_how_long_a_call_may_take(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "tool", {"tool": "small_hang", "seconds": 0.1})
    assert task.error is not None
    assert task.error["error"] == "small_hang took too long"


@pytest.mark.parametrize(
    "payload", [{}, {"tool": ""}, {"tool": 7}, {"tool": "x", "arguments": []}, {"tool": "x", "seconds": -1}]
)
async def test_a_payload_that_is_wrong_names_what_is(
    m: Mycelium, toolbox: SmallToolbox, payload: dict[str, Any]
) -> None:
    task = await done(m, toolbox, "tool", payload, max_attempts=3)
    assert task.error is not None
    assert (task.status, task.error["code"]) == ("failed", "invalid_payload")
    assert any(field in str(task.error["error"]) for field in ("tool:", "arguments:", "seconds:"))


async def test_a_budget_of_tokens_does_not_hinder_a_tool(m: Mycelium, toolbox: SmallToolbox) -> None:
    payload = {"tool": "small_add", "arguments": {"a": 1, "b": 1}}
    assert (await done(m, toolbox, "tool", payload, budget={"tokens": 10, "turns": 1})).status == "completed"


CODE = {"code": "x = 1\neval(x)\n", "language": "python", "analysis_type": "security"}


async def test_code_is_analysed_and_the_response_has_both_blocks(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "code_analysis", {**CODE, "task_id": "task-123", "agent_id": "specialist"})
    assert task.result is not None
    assert task.result["analysis_type"] == "security"
    text, tool = blocks(task)
    assert text == {
        "type": "text",
        "text": "Security analysis of python code: 1 finding (1 high).\n- line 2: eval is evil (S307)",
    }
    assert (tool["type"], tool["name"], tool["results"]["counts"]["high"]) == ("tool_use", "code_analyzer", 1)


async def test_code_without_findings_says_so(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "code_analysis", {"code": ""})
    assert "Quality analysis of python code: nothing found." in str(task.result)


@pytest.mark.parametrize("payload", [{}, {"code": 1}, {"code": "x", "analysis_type": "beauty"}])
async def test_an_analysis_that_cannot_be_is_refused(
    m: Mycelium, toolbox: SmallToolbox, payload: dict[str, Any]
) -> None:
    task = await done(m, toolbox, "code_analysis", payload, max_attempts=2)
    assert task.error is not None
    assert (task.status, task.error["code"]) == ("failed", "invalid_payload")


async def test_without_an_analyser_it_says_who_has_one(m: Mycelium) -> None:
    task = await done(m, NoTools(), "code_analysis", CODE)
    assert task.error is not None
    assert task.error["code"] == "tool_missing"
    assert "mycelium workbench" in str(task.error["error"])


class Reviewer:
    """A model that says one thing, or raises it."""

    name = "reviewer"

    def __init__(self, says: str | Exception) -> None:
        self._says = says
        self.asked: list[str] = []

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool], *, hear: Callable[[str], None], **_: Any
    ) -> Turn:
        self.asked += [block.text for message in messages for block in message.blocks if isinstance(block, Text)]
        assert not tools
        if isinstance(self._says, Exception):
            raise self._says
        return Turn([Text(self._says)], "end", Usage(input=10, output=5))


async def test_a_model_writes_the_review_of_code_and_findings(m: Mycelium, toolbox: SmallToolbox) -> None:
    model = Reviewer("Do not eval.")
    task = await done(m, toolbox, "code_analysis", CODE, model, budget={"tokens": 100})
    assert blocks(task)[0] == {"type": "text", "text": "Do not eval."}
    assert "S307" in model.asked[0]
    assert task.spent is not None
    assert (task.spent.tokens, task.spent.turns) == (15, 1)


@pytest.mark.parametrize("trouble", [Busy("overloaded"), Rejected("no such key", code="unauthorized"), ""])
async def test_without_an_answer_the_summary_stands(
    m: Mycelium, toolbox: SmallToolbox, trouble: str | Exception
) -> None:
    task = await done(m, toolbox, "code_analysis", CODE, Reviewer(trouble))
    assert "Security analysis of python code: 1 finding" in str(task.result)


def test_the_two_are_registered() -> None:
    executors = Executors()
    assert {"tool", "code_analysis"} <= set(executors.types)
    assert executors.find("tool", model=False) is do_tool
    assert executors.find("code_analysis", model=False) is analyze_code
