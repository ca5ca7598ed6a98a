"""`tool` and `code_analysis` tasks, over a real MCP server."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import Task
from mycelium_worker.conversation.transcript import transcript
from mycelium_worker.executors.code_analysis import analyze_code
from mycelium_worker.executors.registry import Executors
from mycelium_worker.executors.tool import do_tool
from mycelium_worker.model import Busy, Message, Rejected, Stop, Text, Turn, Unusable, Usage
from mycelium_worker.toolbox import Reply, Tool
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


async def test_a_tool_that_fails_is_tried_again_as_long_as_there_are_attempts(
    m: Mycelium, toolbox: SmallToolbox
) -> None:
    task = await done(m, toolbox, "tool", {"tool": "small_fail"}, max_attempts=3, retry_backoff=0)
    assert (task.status, task.attempt) == ("failed", 3)
    assert task.error is not None
    assert (task.error["code"], task.error["tool"]) == ("tool_failed", "small_fail")
    other = await done(m, toolbox, "tool", {"tool": "small_fail"}, max_attempts=2, retry_backoff=3600)
    assert (other.status, other.attempt) == ("pending", 1)


async def test_tools_that_fail_do_not_put_the_worker_in_error(m: Mycelium, toolbox: SmallToolbox) -> None:
    for _ in range(6):
        await done(m, toolbox, "tool", {"tool": "small_fail"})
    assert (await m.get_agent_status("wanda")).status != "error"


async def test_an_analyser_that_fails_fails_its_task_for_good(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "code_analysis", {"code": "x", "language": "cobol"}, max_attempts=3)
    assert (task.status, task.attempt) == ("failed", 1)


async def test_a_tool_that_fails_says_so(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "tool", {"tool": "small_fail"})
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
    """A model that says one thing after the other, or raises it; the last of them from then on."""

    name = "reviewer"

    def __init__(self, *says: str | Exception, stop: Stop = "end") -> None:
        self._says = list(says)
        self._stop: Stop = stop
        self.asked: list[str] = []

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool], *, hear: Callable[[str], None], **_: Any
    ) -> Turn:
        self.asked += [block.text for message in messages for block in message.blocks if isinstance(block, Text)]
        assert not tools
        says = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(says, Exception):
            raise says
        return Turn([Text(says)], self._stop, Usage(input=10, output=5))


async def test_a_model_writes_the_review_of_code_and_findings(m: Mycelium, toolbox: SmallToolbox) -> None:
    model = Reviewer("Do not eval.")
    task = await done(m, toolbox, "code_analysis", CODE, model, budget={"tokens": 10_000})
    assert blocks(task)[0] == {"type": "text", "text": "Do not eval."}
    assert "S307" in model.asked[0]
    assert task.spent is not None
    assert (task.spent.tokens, task.spent.turns) == (15, 1)


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (Busy("overloaded", retry_after=9999), "The model is busy, and there is no time left to wait: overloaded"),
        (Rejected("no such thing", code="model_request_rejected"), "no such thing"),
        (Unusable("no such key", code="model_unauthorized"), "no such key"),
        ("", "it said nothing"),
    ],
)
async def test_without_an_answer_the_summary_stands_and_says_why(
    m: Mycelium, toolbox: SmallToolbox, trouble: str | Exception, why: str
) -> None:
    task = await done(m, toolbox, "code_analysis", CODE, Reviewer(trouble))
    text = blocks(task)[0]["text"]
    assert text.startswith("Security analysis of python code: 1 finding")
    assert "There is no review by a model" in text
    assert why in text


@pytest.mark.parametrize("budget", [{"tokens": 1}, {"tokens": 500}, {"tokens": 500, "turns": 1}])
async def test_a_budget_too_small_for_a_review_does_not_cost_the_findings(
    m: Mycelium, toolbox: SmallToolbox, budget: dict[str, Any]
) -> None:
    model = Reviewer("Do not eval.")
    task = await done(m, toolbox, "code_analysis", CODE, model, budget=budget)
    assert task.status == "completed"
    assert blocks(task)[1]["results"]["counts"]["high"] == 1
    assert "(There is no review by a model: the task's tokens do not suffice.)" in blocks(task)[0]["text"]
    assert not model.asked


async def test_an_overload_is_waited_out_for_a_review(m: Mycelium, toolbox: SmallToolbox) -> None:
    model = Reviewer(Busy("overloaded", retry_after=0.01), "Do not eval.")
    task = await done(m, toolbox, "code_analysis", CODE, model, timeout_seconds=60)
    assert blocks(task)[0]["text"] == "Do not eval."
    assert len(model.asked) == 2


async def test_a_review_is_told_and_counted_as_conversations_are(m: Mycelium, toolbox: SmallToolbox) -> None:
    task = await done(m, toolbox, "code_analysis", CODE, Reviewer("Do not eval."))
    assert task.result is not None
    assert task.result["model"] == "reviewer"
    assert task.result["usage"] == {"input": 10, "output": 5, "cache_read": 0, "cache_write": 0, "turns": 1}
    asked, said = await transcript(m, task.id)
    assert (asked.role, said.role, said.text) == ("user", "assistant", "Do not eval.")
    assert "eval(x)" in asked.text


async def test_a_review_that_was_cut_says_so(m: Mycelium, toolbox: SmallToolbox) -> None:
    model = Reviewer("Do not ev", stop="max_tokens")
    task = await done(m, toolbox, "code_analysis", CODE, model, budget={"turns": 1})
    assert task.result is not None
    assert blocks(task)[0]["text"] == "Do not ev\n\n(The review is not complete: the task has no turns left.)"
    assert task.result["stopped"] == "max_turns"


class Monoglot(SmallToolbox):
    """Whose analyser knows Python only, as the workbench's says it."""

    async def call(self, name: str, arguments: Mapping[str, JsonValue], *, seconds: float | None = None) -> Reply:
        if arguments.get("language") == "python":
            return await super().call(name, arguments, seconds=seconds)
        said = "unsupported_language: No analyser for 'rust' is here."
        return Reply(said, {"error": {"code": "unsupported_language"}}, is_error=True)


RUST = {"code": "fn main() {}", "language": "rust"}


@pytest.fixture
async def monoglot() -> AsyncGenerator[SmallToolbox]:
    async with small_toolbox(Monoglot) as box:
        yield box


async def test_code_that_no_analyser_knows_is_reviewed_by_the_model_alone(m: Mycelium, monoglot: SmallToolbox) -> None:
    model = Reviewer("Short.")
    task = await done(m, monoglot, "code_analysis", RUST, model)
    assert task.result is not None
    assert blocks(task) == [{"type": "text", "text": "Short."}]
    assert (task.result["analysis_type"], task.result["model"]) == ("quality", "reviewer")
    assert "fn main()" in model.asked[0]
    cut = await done(m, monoglot, "code_analysis", RUST, Reviewer("Sho", stop="max_tokens"), budget={"turns": 1})
    assert blocks(cut)[0]["text"] == "Sho\n\n(The review is not complete: the task has no turns left.)"


@pytest.mark.parametrize(("says", "code"), [(None, "tool_failed"), ("", "unsupported_language")])
async def test_code_that_nobody_here_knows_fails(
    m: Mycelium, monoglot: SmallToolbox, says: str | None, code: str
) -> None:
    model = None if says is None else Reviewer(says)
    task = await done(m, monoglot, "code_analysis", RUST, model, max_attempts=3)
    assert task.error is not None
    assert (task.status, task.error["code"]) == ("failed", code)
    assert "No analyser for" in str(task.error["error"])


def test_the_two_are_registered() -> None:
    executors = Executors()
    assert {"tool", "code_analysis"} <= set(executors.types)
    assert executors.find("tool", model=False) is do_tool
    assert executors.find("code_analysis", model=False) is analyze_code
