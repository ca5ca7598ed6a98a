"""The result of a task that a model did: in the seed's form, and always of a size that the store takes."""

from typing import Any

from pydantic import JsonValue
from pydantic_core import to_json

from mycelium import Mycelium
from mycelium_worker import response
from mycelium_worker.conversation.outcome import MOST_USES, NO_ANSWER, NO_WORDS, ROOM, found, outcome
from mycelium_worker.plain import clipped_json, plain
from mycelium_worker.toolbox import Reply


def deep(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return {"deep": value}


async def stored(result: dict[str, JsonValue]) -> dict[str, Any]:
    """The result, as a store gives it back."""
    async with Mycelium.open("memory://", agent="ada") as m:
        task = await m.create_task("x")
        await m.claim_task(task.id)
        return dict((await m.complete_task(task.id, result)).result or {})


async def test_the_answer_comes_first_and_then_what_the_tools_found() -> None:
    uses = [
        found("analyze", Reply("as text", {"score": 3})),
        found("read", Reply("line\n")),
        found("run", Reply("no", is_error=True)),
    ]
    assert await stored(outcome(" All is well.\n", uses, model="m")) == {
        "response": [
            {"type": "text", "text": "All is well."},
            {"type": "tool_use", "name": "analyze", "results": {"score": 3}},
            {"type": "tool_use", "name": "read", "results": {"text": "line\n"}},
            {"type": "tool_use", "name": "run", "results": {"error": "no"}},
        ],
        "model": "m",
    }


async def test_no_answer_is_said_plainly() -> None:
    assert outcome("  ", [], stopped="max_turns")["response"] == [response.text(NO_ANSWER)]
    assert outcome("  ", [])["response"] == [response.text(NO_WORDS)]


async def test_only_the_last_uses_are_kept_and_the_rest_counted() -> None:
    result = await stored(outcome("x", [response.tool_use("t", {"number": n}) for n in range(MOST_USES + 7)]))
    assert result["tool_uses_left_out"] == 7
    assert result["response"][1]["results"] == {"number": 7}


async def test_a_huge_answer_is_cut_with_a_note() -> None:
    result = await stored(outcome("\x01" * 1_000_000, []))  # six bytes each as JSON
    text = result["response"][0]["text"]
    assert text.endswith("[cut: 1000000 characters in all]")
    assert ROOM - 1000 < len(to_json(result)) <= ROOM


async def test_the_answer_goes_before_what_the_tools_found() -> None:
    uses = [found("t", Reply("\x01" * 100_000)) for _ in range(MOST_USES)]
    result = await stored(outcome("a" * 900_000, uses))
    assert len(result["response"][0]["text"]) == 900_000
    assert 0 < len(result["response"]) - 1 < MOST_USES
    assert len(result["response"]) - 1 + result["tool_uses_left_out"] == MOST_USES


async def test_what_no_store_could_read_back_is_left_out() -> None:
    bad: list[JsonValue] = [deep(199), deep(5000), {"number": float("nan")}, {"long": "x" * 100_000}]
    for structured in bad:
        result = await stored(outcome("x", [found("t", Reply("", structured))]))
        assert "cut" in result["response"][1]["results"]


def test_small_values_stay_as_they_are() -> None:
    assert clipped_json({"a": [1, "ä", None]}, 100) == {"a": [1, "ä", None]}


def test_two_halves_of_a_character_become_one_and_one_alone_is_replaced() -> None:
    assert plain("a\ud83d" + "\ude00") == "a\U0001f600"
    assert plain("a\ud83d") == "a\ufffd"
    assert plain("plain ä \U0001f600") == "plain ä \U0001f600"
