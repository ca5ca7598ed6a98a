"""What a model may take: turns, tokens and time stop it cleanly with what it has."""

import pytest

from mycelium.errors import BudgetExceeded
from mycelium_worker.attempt import Limits
from tests.support.model_endpoint import endless
from tests.support.model_script import Answer, Api, Asked, Say, Script, Step, Use
from tests.worker.models.scene import scene, text_in

APIS = pytest.mark.parametrize("api", ["messages", "chat"])
ADD = Use("add", {"a": 2, "b": 3})
FIVE = Answer([Say("The sum of 2 and 3 is 5.")])


def counting(usage: dict[str, int]) -> Script:
    """Ever new calls, for as long as tools are offered."""

    def step(asked: Asked) -> Step:
        number = len(asked.messages)
        return Answer([Use("add", {"a": number, "b": 1})] if asked.tools else [Say(f"Up to {number}.")], usage=usage)

    return step


@APIS
async def test_the_last_turn_has_no_tools_and_says_so(api: Api) -> None:
    async with scene(endless(ADD), api, limits=Limits(turns=3)) as s:
        result = await s.hold()
    assert result["stopped"] == "max_turns"
    assert result["usage"]["turns"] == 3
    assert text_in(result) == "I went round in circles."
    assert [bool(asked.tools) for asked in s.endpoint.asked] == [True, True, False]
    assert "last turn" in s.endpoint.asked[-1].last
    assert "The sum" not in s.endpoint.asked[-1].last


@APIS
async def test_a_budget_of_one_turn_is_enough_for_an_answer(api: Api) -> None:
    async with scene([FIVE], api, budget={"turns": 1}) as s:
        result = await s.hold()
    assert "stopped" not in result
    assert s.endpoint.asked[0].tools == []


async def test_the_tasks_own_budget_goes_before_the_workers_limits() -> None:
    async with scene(endless(ADD), budget={"turns": 2}, limits=Limits(turns=50)) as s:
        result = await s.hold()
        task = await s.task()
    assert result["stopped"] == "max_turns"
    assert len(s.endpoint.asked) == 2
    assert task.status == "completed"
    assert task.spent is not None
    assert task.spent.turns == 2


async def test_what_earlier_attempts_took_counts() -> None:
    async with scene([Answer([ADD]), FIVE], budget={"turns": 5}) as s:
        await s.m.update_task(s.attempt.task.id, spent={"turns": 3, "tokens": 0})
        object.__setattr__(s.attempt, "task", await s.task())
        result = await s.hold()
    assert result["stopped"] == "max_turns"
    assert len(s.endpoint.asked) == 2


async def test_nothing_is_asked_where_nothing_is_left() -> None:
    async with scene([FIVE], budget={"turns": 0}) as s:
        await s.m.update_task(s.attempt.task.id, spent={"turns": 0, "tokens": 0})
        result = await s.hold()
    assert result["stopped"] == "max_turns"
    assert s.endpoint.asked == []


@APIS
async def test_tokens_stop_it_before_they_are_used_up(api: Api) -> None:
    usage = {"input": 1000, "output": 100}
    async with scene(counting(usage), api, budget={"tokens": 10_000}) as s:
        result = await s.hold()
        task = await s.task()
    assert result["stopped"] == "max_tokens"
    assert text_in(result).startswith("Up to")
    assert task.status == "completed"
    assert task.spent is not None
    assert task.spent.tokens == 1100 * len(s.endpoint.asked) <= 10_000
    assert len(s.endpoint.asked) >= 7
    assert "tokens for this task" in s.endpoint.asked[-1].last


@APIS
async def test_an_answer_may_be_no_longer_than_what_is_left(api: Api) -> None:
    usage = {"input": 1000, "output": 100}
    async with scene(counting(usage), api, limits=Limits(tokens=10_000)) as s:
        await s.hold()
    most = [asked.body["max_tokens" if api == "messages" else "max_completion_tokens"] for asked in s.endpoint.asked]
    assert most[0] == 10_000
    assert most == sorted(most, reverse=True) or most[-1] > most[-2]
    assert all(asked + 1100 * number <= 10_000 for number, asked in enumerate(most))


async def test_no_room_for_a_last_answer_ends_with_what_was_said() -> None:
    steps = [Answer([Say("So far: 5. "), ADD], usage={"input": 900, "output": 50})]
    async with scene(steps, limits=Limits(tokens=1000)) as s:
        result = await s.hold()
    assert result["stopped"] == "max_tokens"
    assert text_in(result) == "So far: 5."
    assert len(s.endpoint.asked) == 1


async def test_tokens_from_the_cache_count_as_well() -> None:
    usage = {"input": 10, "output": 20, "cache_read": 300, "cache_write": 4}
    async with scene([Answer([Say("Hi")], usage=usage)]) as s:
        result = await s.hold()
        task = await s.task()
    assert result["usage"] == {"input": 10, "output": 20, "cache_read": 300, "cache_write": 4, "turns": 1}
    assert task.spent is not None
    assert task.spent.tokens == 334


async def test_over_its_budget_the_task_has_failed_already() -> None:
    async with scene([Answer([ADD], usage={"input": 5000, "output": 1})], budget={"tokens": 1000}) as s:
        with pytest.raises(BudgetExceeded):
            await s.hold()
        task = await s.task()
    assert task.status == "failed"
    assert s.calls.made == []


@APIS
async def test_time_stops_it_with_a_last_answer(api: Api) -> None:
    def late(asked: Asked) -> Step:
        if asked.tools:
            s.passed += 31
        return Answer([ADD] if asked.tools else [Say("As far as I got.")])

    async with scene(late, api, timeout_seconds=100.0) as s:
        result = await s.hold()
    assert result["stopped"] == "max_seconds"
    assert text_in(result) == "As far as I got."
    assert [bool(asked.tools) for asked in s.endpoint.asked] == [True, True, True, False]
    assert "time for this task" in s.endpoint.asked[-1].last


async def test_tools_that_are_under_way_when_time_closes_are_stopped_and_said_so() -> None:
    async with scene([Answer([ADD, Use("hang")]), FIVE], limits=Limits(seconds=2)) as s:
        result = await s.hold()
        assert s.calls.stopped.is_set()
    assert result["stopped"] == "max_seconds"
    assert text_in(result) == "The sum of 2 and 3 is 5."
    assert "time for the task" in s.endpoint.asked[1].last


async def test_an_answer_that_does_not_come_in_time_ends_with_what_was_said() -> None:
    stalled = Answer([Say("And further")], breaks="stall", whole=4)
    async with scene([Answer([Say("So far: 5."), ADD]), stalled], limits=Limits(seconds=1)) as s:
        result = await s.hold()
    assert result["stopped"] == "max_seconds"
    assert text_in(result) == "So far: 5."
