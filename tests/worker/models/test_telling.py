"""What is told while a model works: live, in the log, and where the store cannot take it."""

import logging
from typing import Any
from unittest.mock import ANY

import anyio
import pytest

from mycelium.backend import Backend
from mycelium.errors import BackendUnavailable
from mycelium_worker.attempt import CHANNEL
from mycelium_worker.conversation.loop import converse
from mycelium_worker.conversation.transcript import transcript
from tests.support.model_script import Answer, Api, Say, Status, Use
from tests.support.store import PATIENCE
from tests.worker.models.scene import Scene, scene, text_in

APIS = pytest.mark.parametrize("api", ["messages", "chat"])
ADD = Use("add", {"a": 2, "b": 3})
FIVE = Answer([Say("The sum of 2 and 3 is 5.")])


async def until_told(s: Scene, type: str) -> None:
    """Return once an event of this type is in the log."""
    cursor = 0
    with anyio.fail_after(PATIENCE):
        while True:
            page = await s.m.read_events([CHANNEL], after=cursor, wait_seconds=PATIENCE)
            if any(event.type == type for event in page.events):
                return
            cursor = page.cursor


@APIS
async def test_each_turn_and_each_tool_is_told(api: Api) -> None:
    async with scene([Answer([Say("Let me add. "), ADD]), FIVE], api) as s:
        await s.hold()
        told = [event for event in await s.events() if event.type != "worker.text"]
    assert [event.type for event in told] == ["worker.prompt", "worker.turn", "worker.tool", "worker.turn"]
    assert all(event.data["task_id"] == s.attempt.task.id for event in told)
    prompt, first, tool, _ = [event.data for event in told]
    assert "What is 2 + 3?" in str(prompt["text"])
    assert "ada, a worker" in str(prompt["system"])
    assert prompt["tools"] == ["add", "hang", "long", "look", "meet"]
    assert (first["turn"], first["text"], first["stop"]) == (1, "Let me add. ", "tool_use")
    assert first["tools"] == [{"id": ANY, "name": "add", "arguments": {"a": 2, "b": 3}}]
    assert first["usage"] == {"input": 100, "output": 20, "cache_read": 0, "cache_write": 0}
    assert (tool["name"], tool["text"], tool["is_error"]) == ("add", "5", False)
    assert isinstance(tool["seconds"], float)


@APIS
async def test_text_is_told_while_it_comes(api: Api) -> None:
    hold = anyio.Event()
    async with scene([Answer([Say("The sum of 2 and 3 is 5.")], hold=hold)], api) as s:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.hold)
            await until_told(s, "worker.text")
            assert not await s.events("worker.turn")
            hold.set()
        pieces = [str(event.data["text"]) for event in await s.events("worker.text")]
        types = [event.type for event in await s.events()]
    assert "".join(pieces) == "The sum of 2 and 3 is 5."
    assert len(pieces) >= 2
    assert types[-1] == "worker.turn"


async def test_much_text_comes_in_few_pieces() -> None:
    async with scene([Answer([Say("word " * 2000)])]) as s:
        await s.hold()
        assert len(await s.events("worker.text")) < 20


async def test_notes_on_the_task_say_what_it_does() -> None:
    async with scene([Answer([ADD, Use("look")]), FIVE]) as s:
        await s.hold()
        notes = [event.data.get("note") for event in (await s.m.read_events(["tasks:events"])).events]
    assert "turn 1: add, look" in notes


async def test_what_was_said_can_be_read_again_in_order() -> None:
    async with scene([[Status(529), Answer([Say("Let me add. "), ADD])], FIVE]) as s:
        await s.m.publish_event("worker:events", {"task_id": "another", "text": "no"}, type="worker.turn")
        await s.hold()
        lines = await transcript(s.m, s.attempt.task.id)
    assert [(line.role, line.text) for line in lines[1:]] == [
        ("assistant", "Let me add. "),
        ("tool", "5"),
        ("assistant", "The sum of 2 and 3 is 5."),
    ]
    assert lines[0].role == "user"
    assert {line.attempt for line in lines} == {1}
    assert lines[2].more["name"] == "add"


async def test_long_things_are_cut_in_the_log_and_not_for_the_model() -> None:
    long = Answer([Use("long", {"characters": 100_000}), Use("add", {"a": "y" * 100_000, "b": 1})])
    async with scene([long, Answer([Say("z" * 100_000)])]) as s:
        result = await s.hold()
        told = await s.events()
    assert len(text_in(result)) == 100_000
    assert "x" * 100_000 in s.endpoint.asked[1].last
    assert all(len(event.model_dump_json()) < 80_000 for event in told)
    assert "cut: 100000 characters" in str([event.data for event in told if event.type == "worker.tool"])


async def test_halves_of_characters_do_no_harm() -> None:
    use = Use("add", r'{"a": "\ud83d", "b": 1}')
    async with scene([Answer([Say("half \ud83d"), use]), Answer([Say("whole \ud83d\ude00")])]) as s:
        assert text_in(await s.hold()) == "whole \U0001f600"


class Deaf:
    """A store that takes no news: it refuses every commit while it is `deaf`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.deaf = True
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def commit(self, *arguments: Any, **more: Any) -> Any:
        if self.deaf:
            self.refused += 1
            raise BackendUnavailable("The store is away.", hint="Wait.")
        return await self._backend.commit(*arguments, **more)


async def test_the_work_goes_on_while_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene([Answer([ADD]), FIVE], budget={"turns": 5}) as s:
        deaf = Deaf(s.m.backend)
        monkeypatch.setattr(s.m, "backend", deaf)
        with anyio.fail_after(PATIENCE), caplog.at_level(logging.WARNING, "mycelium.worker"):
            result = await converse(s.attempt)
        deaf.deaf = False
        assert (await s.events()) == []
    assert text_in(result) == "The sum of 2 and 3 is 5."
    assert s.calls.made == ["add 2 3"]
    assert deaf.refused >= 6
    assert {record.message for record in caplog.records} == {
        "a step of a task could not be told",
        "what a task took could not be counted yet",
    }


async def test_what_could_not_be_counted_is_counted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene([Answer([ADD]), FIVE]) as s:
        deaf = Deaf(s.m.backend)
        monkeypatch.setattr(s.m, "backend", deaf)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(s.hold)
            await s.endpoint.until_asked(2)
            deaf.deaf = False
        spent = (await s.task()).spent
    assert spent is not None
    assert (spent.tokens, spent.turns) == (240, 2)


@APIS
@pytest.mark.parametrize("where", ["asking", "tools", "waiting"])
async def test_whoever_stops_it_leaves_nothing_behind(api: Api, where: str) -> None:
    step = {
        "asking": Answer([Say("Let me see.")], breaks="stall", whole=4),
        "tools": Answer([Use("hang")]),
        "waiting": Status(529),
    }[where]
    async with scene([step], api) as s:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(converse, s.attempt)
            with anyio.fail_after(PATIENCE):
                await s.endpoint.until_asked(1)
                while where == "tools" and not s.calls.made:
                    await anyio.lowlevel.checkpoint()
            if where == "waiting":
                await until_told(s, "worker.model_busy")
            tasks.cancel_scope.cancel()
        if where == "tools":
            with anyio.fail_after(PATIENCE):
                await s.calls.stopped.wait()
        assert (await s.task()).status == "running"
