"""What goes wrong between a worker and a model: what passes is waited out, what does not fails the task."""

import logging
from collections.abc import AsyncIterator
from typing import Literal

import anyio
import httpx2
import pytest
from anthropic.types import RawContentBlockStartEvent, RawMessageStopEvent, RawMessageStreamEvent, ToolUseBlock
from pydantic import SecretStr

from mycelium.settings import network
from mycelium_worker.attempt import Limits
from mycelium_worker.conversation.asking import wait_after
from mycelium_worker.executor import NotHere, TaskFailed
from mycelium_worker.model import Busy, Message, Rejected, Text
from mycelium_worker.providers.claude import open_claude
from mycelium_worker.providers.claude_heard import Heard
from mycelium_worker.providers.sdk import hear_out
from mycelium_worker.providers.trouble import retry_after
from tests.support.model_script import Answer, Api, Say, Status, Use
from tests.support.store import PATIENCE
from tests.worker.models.scene import scene, text_in

APIS = pytest.mark.parametrize("api", ["messages", "chat"])
ADD = Use("add", {"a": 2, "b": 3})
FIVE = Answer([Say("The sum of 2 and 3 is 5.")])
OVERLOADED = Status(529, "overloaded_error", "Overloaded")


@APIS
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_what_passes_is_waited_out(api: Api, status: int) -> None:
    async with scene([[Status(status), Status(status), FIVE]], api) as s:
        assert text_in(await s.hold()) == "The sum of 2 and 3 is 5."
        told = await s.events("worker.model_busy")
    assert s.waits == [0.5, 1.0]
    assert [event.data["tries"] for event in told] == [1, 2]
    assert str(status) in str(told[0].data["reason"])


async def test_the_first_wait_of_a_task_is_a_warning_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    async with scene([[OVERLOADED, OVERLOADED, FIVE]]) as s:
        with caplog.at_level(logging.INFO, "mycelium.worker"):
            await s.hold()
        waits = [record for record in caplog.records if "for the model" in record.getMessage()]
    assert [record.levelname for record in waits] == ["WARNING", "INFO"]
    assert "529: Overloaded" in waits[0].getMessage()
    assert s.attempt.task.id in waits[0].getMessage()


@APIS
async def test_a_rate_limit_is_waited_for_as_long_as_it_says(api: Api) -> None:
    limited = Status(429, "rate_limit_error", "Slow down", {"retry-after": "17"})
    async with scene([[limited, FIVE]], api) as s:
        await s.hold()
        notes = [event.data.get("note") for event in (await s.m.read_events(["tasks:events"])).events]
    assert s.waits == [17.0]
    assert any(note and "waiting 17 s" in str(note) for note in notes)


@APIS
@pytest.mark.parametrize("breaks", ["cut", "short", "garbage", "error"])
async def test_a_stream_that_breaks_is_asked_for_again_and_nothing_of_it_is_done(
    api: Api, breaks: Literal["cut", "short", "garbage", "error"]
) -> None:
    broken = Answer([Say("Let me see. "), ADD], breaks=breaks, whole=5)
    async with scene([[broken, Answer([ADD])], FIVE], api) as s:
        result = await s.hold()
    assert s.calls.made == ["add 2 3"]
    assert text_in(result) == "The sum of 2 and 3 is 5."
    assert len(s.waits) == 1
    assert len(s.endpoint.asked) == 3


@APIS
async def test_a_call_that_was_cut_within_its_arguments_is_not_made(api: Api) -> None:
    cut = Answer([Use("add", {"a": 2, "b": 3333333333333333333})], breaks="cut")
    async with scene([[cut, Answer([ADD])], FIVE], api) as s:
        await s.hold()
    assert s.calls.made == ["add 2 3"]


async def test_an_answer_with_a_block_that_lacks_a_part_is_asked_for_again() -> None:
    class Nameless:
        response = httpx2.Response(200, headers={"content-type": "text/event-stream"})

        async def __aiter__(self) -> AsyncIterator[RawMessageStreamEvent]:
            block = ToolUseBlock.model_construct(id="toolu_1", type="tool_use", input={})
            yield RawContentBlockStartEvent(index=0, type="content_block_start", content_block=block)
            yield RawMessageStopEvent(type="message_stop")

    with pytest.raises(Busy, match="name"):
        await hear_out(Nameless(), Heard(print), "Messages API")


@APIS
async def test_a_stream_that_stalls_is_left(api: Api) -> None:
    async with scene([[Answer([Say("Let me see.")], breaks="stall", whole=4), FIVE]], api, stalled_after=0.3) as s:
        assert text_in(await s.hold()) == "The sum of 2 and 3 is 5."
    assert len(s.waits) == 1


@APIS
async def test_nobody_there_is_waited_out_until_the_time_is_up(api: Api) -> None:
    async with scene([FIVE], api, limits=Limits(seconds=100)) as s:
        await s.endpoint.close()
        with pytest.raises(TaskFailed) as failed:
            await s.hold()
    assert failed.value.code == "model_busy"
    assert failed.value.retry
    assert sum(s.waits) < 100
    assert len(s.waits) >= 6


@APIS
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "model_request_rejected"),
        (402, "model_request_rejected"),
        (413, "model_request_rejected"),
    ],
)
async def test_what_does_not_pass_fails_the_task_for_good(api: Api, status: int, code: str) -> None:
    async with scene([Status(status, "some_error", "what it says")], api) as s:
        with pytest.raises(TaskFailed, match="what it says") as failed:
            await s.hold()
    assert failed.value.code == code
    assert not failed.value.retry
    assert len(s.endpoint.asked) == 1


@APIS
@pytest.mark.parametrize(
    ("status", "code"), [(401, "model_unauthorized"), (403, "model_unauthorized"), (404, "model_unknown")]
)
async def test_what_is_wrong_with_the_worker_is_not_the_tasks_fault(api: Api, status: int, code: str) -> None:
    async with scene([Status(status, "some_error", "what it says")], api) as s:
        with pytest.raises(NotHere, match="what it says") as away:
            await s.hold()
    assert away.value.code == code
    assert len(s.endpoint.asked) == 1


@APIS
async def test_a_page_in_place_of_an_answer_is_no_model(api: Api) -> None:
    async with scene([Status(200, page="<h1>Welcome</h1>")], api) as s:
        with pytest.raises(NotHere, match="Check the address") as away:
            await s.hold()
    assert away.value.code == "model_unknown"


@APIS
async def test_a_wait_longer_than_the_time_fails_at_once(api: Api) -> None:
    limited = Status(429, "rate_limit_error", "Come tomorrow", {"retry-after": "86400"})
    async with scene([limited], api, timeout_seconds=60.0) as s:
        with pytest.raises(TaskFailed, match="Come tomorrow") as failed:
            await s.hold()
    assert (failed.value.code, failed.value.retry, s.waits) == ("model_busy", True, [])


async def test_what_there_is_counts_when_the_model_is_busy_at_the_last_answer() -> None:
    steps = [Answer([Say("So far: 5. "), ADD]), Status(529, "overloaded_error", "Overloaded", {"retry-after": "9999"})]
    async with scene(steps, limits=Limits(turns=2)) as s:
        result = await s.hold()
    assert text_in(result) == "So far: 5."
    assert result["stopped"] == "max_turns"


async def test_a_wrong_request_within_a_stream_is_rejected_and_an_overload_is_not() -> None:
    async with scene([[Answer([Say("Hm")], breaks="error"), FIVE]]) as s:
        await s.hold()
        (busy,) = await s.events("worker.model_busy")
    assert "overloaded_error" in str(busy.data["reason"])


async def test_the_sdk_itself_does_not_try_again() -> None:
    async with scene([OVERLOADED]) as s:
        assert s.attempt.model is not None
        with pytest.raises(Busy):
            await s.attempt.model.answer("", [Message("user", [Text("Hello")])], [], hear=print)
    assert len(s.endpoint.asked) == 1


async def test_no_connection_is_busy_and_a_wrong_address_is_rejected() -> None:
    async with scene([FIVE]) as s:
        url = s.endpoint.url
        settings = network.Claude(api_key=SecretStr("key"), base_url=f"{url}/elsewhere")
        async with open_claude(settings) as model:
            with anyio.fail_after(PATIENCE), pytest.raises(Rejected) as rejected:
                await model.answer("", [Message("user", [Text("Hello")])], [], hear=print)
    assert rejected.value.code == "model_unknown"
    async with open_claude(network.Claude(api_key=SecretStr("key"), base_url=url)) as model:
        with anyio.fail_after(PATIENCE), pytest.raises(Busy):
            await model.answer("", [Message("user", [Text("Hello")])], [], hear=print)


def test_waits_double_up_to_a_minute_and_never_come_at_the_same_moment() -> None:
    assert [wait_after(tries, None, 1.0) for tries in (1, 2, 3, 7, 1000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    assert wait_after(3, None, 0.0) == 2.0
    assert wait_after(1, 20.0, 0.0) == 20.0
    assert 20.0 < wait_after(1, 20.0, 0.5) <= 21.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_where_it_is_a_sound_number_of_seconds(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds
