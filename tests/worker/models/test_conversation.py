"""How a model does a task: what it is told, what it may call, and how that ends."""

import json

import pytest

from mycelium_worker.attempt import Limits
from mycelium_worker.conversation.outcome import NO_WORDS
from mycelium_worker.executor import TaskFailed
from tests.support.model_endpoint import endless
from tests.support.model_script import Answer, Api, Say, Status, Think, Use
from tests.worker.models.scene import scene, text_in, uses_in

APIS = pytest.mark.parametrize("api", ["messages", "chat"])
ADD = Use("add", {"a": 2, "b": 3})
FIVE = Answer([Say("The sum of 2 and 3 is 5.")])


@APIS
async def test_an_answer_is_the_result(api: Api) -> None:
    async with scene([FIVE], api) as s:
        result = await s.hold()
    assert text_in(result) == "The sum of 2 and 3 is 5."
    assert result["usage"] == {"input": 100, "output": 20, "cache_read": 0, "cache_write": 0, "turns": 1}
    assert result["model"] == s.attempt.model.name if s.attempt.model else None
    assert "stopped" not in result


@APIS
async def test_the_prompt_comes_first_and_the_rest_of_the_payload_after_it(api: Api) -> None:
    payload = {"id": "task-1", "prompt": "Review code quality...", "depth": 3}
    async with scene([FIVE], api, type="review", title="First look", payload=payload) as s:
        await s.hold()
    (message,) = s.endpoint.asked[0].messages
    (block,) = message["content"]
    assert block["text"].startswith("Review code quality...\n")
    assert "of type review: First look" in block["text"]
    assert json.loads(block["text"].partition("Given with it:\n")[2]) == {"id": "task-1", "depth": 3}


@APIS
async def test_a_payload_without_a_prompt_is_given_as_json(api: Api) -> None:
    async with scene([FIVE], api, type="code_analysis", payload={"code": "x = 1", "language": "python"}) as s:
        await s.hold()
    (block,) = s.endpoint.asked[0].messages[0]["content"]
    assert json.loads(block["text"].partition("Given with it:\n")[2]) == {"code": "x = 1", "language": "python"}


@APIS
async def test_tools_are_called_and_their_answers_go_back(api: Api) -> None:
    async with scene([Answer([Say("Let me add. "), ADD]), FIVE], api) as s:
        result = await s.hold()
    assert s.calls.made == ["add 2 3"]
    assert text_in(result) == "The sum of 2 and 3 is 5."
    assert uses_in(result) == [{"type": "tool_use", "name": "add", "results": {"result": 5}}]
    assert '"5"' in s.endpoint.asked[1].last
    assert result["usage"]["turns"] == 2
    assert result["usage"]["input"] == 200


@APIS
async def test_calls_of_one_turn_run_at_once_and_are_answered_in_their_order(api: Api) -> None:
    both = [Use("meet", {"name": "first"}, "id-1"), Use("meet", {"name": "second"}, "id-2"), Use("add", {}, "id-3")]
    async with scene([Answer(both), FIVE], api) as s:
        result = await s.hold()
    assert [use["name"] for use in uses_in(result)] == ["meet", "meet", "add"]
    assert "first met another" in str(uses_in(result)[0])
    assert "second met another" in str(uses_in(result)[1])
    said = json.dumps(s.endpoint.asked[1].messages[2:])
    assert said.index("id-1") < said.index("id-2") < said.index("id-3")


@APIS
@pytest.mark.parametrize(
    ("use", "answer"),
    [
        (Use("no_such_tool", {}), "no_such_tool"),
        (Use("add", {"a": "two", "b": 3}), "valid integer"),
        (Use("add", '{"a": 2, "b": '), "not JSON"),
        (Use("add", '{"a": 2,, "b": oops}'), "not JSON"),
        (Use("add", "[" * 20_000), "nested too deeply"),
        (Use("add", "[1, 2]"), "not a JSON object"),
        (Use("add", '{"a": NaN}'), "NaN"),
    ],
    ids=["unknown", "misfit", "cut", "garbled", "deep", "list", "nan"],
)
async def test_a_call_that_cannot_be_made_goes_back_as_an_error(api: Api, use: Use, answer: str) -> None:
    async with scene([Answer([use]), FIVE], api) as s:
        result = await s.hold()
    assert s.calls.made == []
    assert answer in s.endpoint.asked[1].last
    assert answer in uses_in(result)[0]["results"]["error"]
    assert text_in(result) == "The sum of 2 and 3 is 5."


@APIS
async def test_a_tool_that_hangs_is_answered_for(api: Api) -> None:
    async with scene([Answer([Use("hang"), ADD]), FIVE], api, tool_seconds=0.05) as s:
        result = await s.hold()
    assert uses_in(result)[0]["results"] == {"error": "hang took too long."}
    assert uses_in(result)[1]["results"] == {"result": 5}


@APIS
async def test_pictures_are_shown_to_the_model(api: Api) -> None:
    async with scene([Answer([Use("look")]), FIVE], api) as s:
        await s.hold()
    assert "iVBORw0KGgo" in s.endpoint.asked[1].last
    assert "image/png" in s.endpoint.asked[1].last


@APIS
async def test_a_refusal_fails_the_task_for_good(api: Api) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This could do harm."}
    async with scene([Answer([], stop="refusal", details=details)], api) as s:
        with pytest.raises(TaskFailed, match="This could do harm") as failed:
            await s.hold()
        spent = (await s.task()).spent
    assert failed.value.code == "model_refused"
    assert not failed.value.retry
    assert spent is not None
    assert spent.tokens == 120


@APIS
async def test_an_answer_that_was_cut_off_goes_on(api: Api) -> None:
    async with scene([Answer([Say("The first half, ")], stop="max_tokens"), Answer([Say("the second.")])], api) as s:
        result = await s.hold()
    assert text_in(result) == "The first half, the second."
    assert "stopped" not in result
    assert "cut off" in s.endpoint.asked[1].last


@APIS
async def test_a_call_that_was_cut_off_is_not_made(api: Api) -> None:
    async with scene([Answer([ADD, ADD], stop="max_tokens"), FIVE], api) as s:
        result = await s.hold()
    assert s.calls.made == ["add 2 3"]
    assert "cut off" in uses_in(result)[1]["results"]["error"]


@APIS
async def test_one_who_is_cut_off_again_and_again_is_stopped(api: Api) -> None:
    async with scene(lambda asked: Answer([Say(f"piece {asked.turn}, ")], stop="max_tokens"), api) as s:
        result = await s.hold()
    assert result["stopped"] == "too_long"
    assert len(s.endpoint.asked) == 5
    assert s.endpoint.asked[-1].tools == []


@APIS
async def test_an_empty_answer_in_the_middle_does_no_harm(api: Api) -> None:
    async with scene([[Answer([Say("  ")], stop="max_tokens"), FIVE]], api) as s:
        assert text_in(await s.hold()) == "The sum of 2 and 3 is 5."


@APIS
@pytest.mark.parametrize("says", ["", " \n"])
async def test_one_who_says_nothing_and_does_nothing_has_failed_the_attempt(api: Api, says: str) -> None:
    async with scene([Answer([Say(says)] if says else [])], api) as s:
        with pytest.raises(TaskFailed, match="said nothing") as failed:
            await s.hold()
    assert (failed.value.code, failed.value.retry) == ("model_silent", True)


@APIS
async def test_one_who_says_nothing_after_its_work_has_done_it(api: Api) -> None:
    async with scene([Answer([ADD]), Answer([])], api) as s:
        result = await s.hold()
    assert text_in(result) == NO_WORDS
    assert [use["results"] for use in uses_in(result)] == [{"result": 5}]
    assert "stopped" not in result


async def test_a_pause_is_gone_on_from() -> None:
    async with scene([Answer([Say("I was ")], stop="pause_turn"), Answer([Say("not done.")])]) as s:
        result = await s.hold()
    assert text_in(result) == "I was not done."
    assert s.endpoint.asked[1].messages[-1]["role"] == "assistant"


async def test_thought_goes_back_as_it_came() -> None:
    thought = [Think("First add, then answer."), Think("", "c2VjcmV0", redacted=True)]
    async with scene([Answer([*thought, ADD]), FIVE]) as s:
        await s.hold()
    said = s.endpoint.asked[1].messages[1]["content"]
    assert said[:2] == [
        {"type": "thinking", "thinking": "First add, then answer.", "signature": "c2lnbmF0dXJl"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
    ]


async def test_thought_that_was_cut_off_stays_behind() -> None:
    async with scene([[Answer([Think("I was just", signature="")], stop="max_tokens"), FIVE]]) as s:
        assert text_in(await s.hold()) == "The sum of 2 and 3 is 5."


@APIS
async def test_a_conversation_that_is_too_long_ends_with_what_it_has(api: Api) -> None:
    kind = "context_length_exceeded" if api == "chat" else "invalid_request_error"
    full = Status(400, kind, "prompt is too long: 1200000 tokens > 1000000 maximum")
    async with scene([Answer([Say("So far: 5."), ADD]), full], api) as s:
        result = await s.hold()
    assert text_in(result) == "So far: 5."
    assert result["stopped"] == "context_full"


@APIS
async def test_a_task_that_is_too_long_fails(api: Api) -> None:
    kind = "context_length_exceeded" if api == "chat" else "invalid_request_error"
    async with scene([Status(400, kind, "prompt is too long: 2 tokens > 1 maximum")], api) as s:
        with pytest.raises(TaskFailed) as failed:
            await s.hold()
    assert failed.value.code == "model_context_full"
    assert not failed.value.retry


async def test_context_that_runs_full_within_an_answer_ends_it() -> None:
    async with scene([Answer([Say("As far as I")], stop="model_context_window_exceeded")]) as s:
        result = await s.hold()
    assert text_in(result) == "As far as I"
    assert result["stopped"] == "context_full"


@APIS
async def test_one_who_goes_round_in_circles_is_told_once_and_then_stopped(api: Api) -> None:
    async with scene(endless(ADD), api) as s:
        result = await s.hold()
    assert result["stopped"] == "loop"
    assert text_in(result) == "I went round in circles."
    told = ["times in a row" in asked.last for asked in s.endpoint.asked]
    assert told == [False, False, False, False, True, False, False]
    assert len(uses_in(result)) == 6


@APIS
async def test_one_who_ignores_the_end_of_its_turns_is_not_called_again(api: Api) -> None:
    async with scene(lambda asked: Answer([Say("Once more. "), ADD]), api, limits=Limits(turns=3)) as s:
        result = await s.hold()
    assert result["stopped"] == "max_turns"
    assert len(s.calls.made) == 2
    assert text_in(result) == "Once more."


async def test_without_a_model_the_task_fails_and_says_what_to_set() -> None:
    async with scene([FIVE]) as s:
        object.__setattr__(s.attempt, "model", None)
        with pytest.raises(TaskFailed, match="ANTHROPIC_API_KEY") as failed:
            await s.hold()
    assert failed.value.code == "no_model"


async def test_the_prefix_of_a_conversation_is_cached_and_stays_the_same() -> None:
    async with scene([Answer([ADD]), Answer([Use("add", {"a": 5, "b": 1})]), FIVE], limits=Limits(turns=3)) as s:
        await s.hold()
    first, second, third = [asked.body for asked in s.endpoint.asked]
    assert first["cache_control"] == second["cache_control"] == {"type": "ephemeral"}
    assert first["system"] == second["system"] == third["system"]
    assert first["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert first["tools"] == second["tools"] == third["tools"]
    assert second["messages"][:1] == first["messages"]
    assert third["messages"][:3] == second["messages"]
    assert third["tool_choice"] == {"type": "none"}


async def test_effort_is_passed_on() -> None:
    async with scene([FIVE], effort="low") as s:
        await s.hold()
    assert s.endpoint.asked[0].body["output_config"] == {"effort": "low"}
    async with scene([FIVE]) as s:
        await s.hold()
    assert "output_config" not in s.endpoint.asked[0].body
