"""A model that answers nobody: its tasks go back unharmed, and it is left alone for a while."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pydantic import JsonValue, SecretStr

from mycelium import Mycelium
from mycelium.settings import network
from mycelium_worker.attempt import Attempt
from mycelium_worker.conversation.loop import converse
from mycelium_worker.executors.registry import Executors
from mycelium_worker.health import Health
from mycelium_worker.presence import present
from mycelium_worker.providers.claude import open_claude
from mycelium_worker.resting import RestingModel, types_now
from mycelium_worker.tally import Outcome
from mycelium_worker.worker import Worker
from tests.support.model_endpoint import Endpoint, model_endpoint
from tests.support.model_script import Answer, Say, Script, Status
from tests.worker.loop import NoTools, work_off

FIVE = Answer([Say("5")])
WRONG_KEY = Status(401, "authentication_error", "invalid x-api-key")


async def greet(attempt: Attempt) -> Mapping[str, JsonValue]:
    return {"hello": attempt.task.id}


class Place:
    """A store, a model at a real endpoint, and a clock for the model's rest."""

    def __init__(self, m: Mycelium, endpoint: Endpoint) -> None:
        self.m = m
        self.endpoint = endpoint
        self.passed = 0.0
        self.executors = {"greet": greet, "*": converse}
        self.model: RestingModel

    async def work_off(self) -> list[Outcome]:
        now = types_now((), Executors(self.executors), self.model)
        return await work_off(self.m, self.executors, model=self.model, source={"types": now})

    async def statuses(self) -> list[str]:
        return sorted(task.status for task in (await self.m.list_tasks()).records)


@asynccontextmanager
async def place(script: Script) -> AsyncGenerator[Place]:
    async with AsyncExitStack() as stack:
        m = await stack.enter_async_context(Mycelium.open("memory:", agent="wanda"))
        here = Place(m, await stack.enter_async_context(model_endpoint(script)))
        claude = network.Claude(api_key=SecretStr("wrong"), base_url=here.endpoint.url)
        model = await stack.enter_async_context(open_claude(claude))
        here.model = RestingModel(model, now=lambda: here.passed)
        yield here


async def test_a_wrong_key_costs_tasks_nothing_and_others_are_done_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with place([WRONG_KEY]) as here:
        await here.m.create_tasks(["question", "greet", "question", "greet"])
        outcomes = await here.work_off()
        tasks = (await here.m.list_tasks()).records
    assert sorted(outcome.ended for outcome in outcomes if outcome.type == "greet") == ["completed"] * 2
    given_back = [outcome for outcome in outcomes if outcome.type == "question"]
    assert given_back
    assert {(outcome.ended, outcome.code) for outcome in given_back} == {("released", "model_unauthorized")}
    assert {(task.status, task.attempt) for task in tasks if task.type == "question"} == {("pending", 0)}
    assert "Check the key" in str(given_back[0].error)
    assert any("Check the key" in str(task.note) for task in tasks if task.type == "question")
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert "invalid x-api-key" in said[0].message


async def test_after_its_rest_it_is_asked_again_and_rests_longer_each_time() -> None:
    async with place([[WRONG_KEY, WRONG_KEY, FIVE]]) as here:
        await here.m.create_task("question")
        rests: list[float] = []
        while await here.statuses() == ["pending"]:
            asked = len(here.endpoint.asked)
            await here.work_off()
            assert len(here.endpoint.asked) == asked + 1
            await here.work_off()
            assert len(here.endpoint.asked) == asked + 1  # it rests
            began = here.passed
            while here.model.rests:
                here.passed += 1
            rests.append(here.passed - began)
        assert rests == [60, 120, 0]
        assert await here.statuses() == ["completed"]
        assert here.model.trouble is None


async def test_a_worker_whose_model_answers_nobody_is_not_ready() -> None:
    async with place([[WRONG_KEY, FIVE]]) as here, present(here.m, (), {}) as there:
        health = Health(Worker(here.m, [], Executors({}), NoTools()), there, here.model)
        await here.m.create_task("question")
        assert health.ready
        await here.work_off()
        assert (health.status, health.ready) == ("resting", False)
        assert "invalid x-api-key" in str(health.as_dict()["model_trouble"])
        here.passed += 60
        await here.work_off()
        assert (health.status, health.trouble) == ("working", None)


async def test_a_worker_that_does_nothing_without_its_model_takes_nothing_meanwhile() -> None:
    async with place([WRONG_KEY]) as here:
        now = types_now(["question"], Executors(here.executors), here.model)
        assert now() == ["question"]
        await here.m.create_task("question")
        await here.work_off()
        assert now() is None
