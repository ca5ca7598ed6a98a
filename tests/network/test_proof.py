"""The proof itself: what is true passes, and each lie is found."""

import json
from collections.abc import AsyncGenerator

import pytest

from mycelium import Mycelium
from mycelium.models import Event, Task, TaskSpec
from tests.network.crowd import Answers
from tests.network.proof import answered, leases_in, outcomes_of, problems
from tests.support.store import log

IDS = ["task-0", "task-1"]


@pytest.fixture
async def m() -> AsyncGenerator[Mycelium]:
    """A store with two tasks, the first of which took two attempts."""
    async with Mycelium.open("memory:", agent="ada", background=False) as m:
        for id in IDS:
            await m.receive_task(TaskSpec(type="note", max_attempts=2, retry_backoff=0), id=id)
            await begin(m, id)
            if id == "task-0":
                await m.fail_task(id, "once more")
                await m.claim_task(id)
                await begin(m, id)
            await m.complete_task(id, {"token": (await m.get_task(id)).token})
        yield m


async def begin(m: Mycelium, id: str) -> None:
    """Tell of an attempt as an executor does."""
    task = await m.get_task(id)
    data = {"task_id": id, "attempt": task.attempt, "token": task.token}
    await m.publish_event("worker:events", data, type="attempt.began")


def answers(*told: tuple[str, str]) -> Answers:
    """These answers, each a task's id and a message's."""
    found = Answers()
    for id, message_id in told:
        found.add(json.dumps({"task_id": id, "status": "completed"}).encode(), message_id)
    return found


TRUE = (("task-0", "m-1"), ("task-1", "m-2"), ("task-0", "m-1"))


async def test_the_truth_has_no_problems_and_copies_are_counted(m: Mycelium) -> None:
    told = answers(*TRUE)
    assert await problems(m, IDS, told) == []
    assert told.copies == 1


async def test_a_task_that_is_not_there_is_missed(m: Mycelium) -> None:
    assert await problems(m, [*IDS, "task-2"], answers(*TRUE)) == ["task-2 is not in the store", "task-2 has no answer"]


def test_wrong_answers_are_found() -> None:
    assert answered(IDS, answers(TRUE[0])) == ["task-1 has no answer"]
    assert answered(IDS, answers(*TRUE, ("task-1", "m-3"))) == ["task-1 has 2 answers: m-2, m-3"]
    assert answered(IDS[:1], answers(*TRUE)) == ["task-1 was never asked for"]


async def told(m: Mycelium) -> tuple[list[Event], list[Task]]:
    return await log(m), await m.get_tasks(IDS)


async def test_tokens_that_do_not_grow_are_found(m: Mycelium) -> None:
    events, tasks = await told(m)
    backwards = [
        event.model_copy(update={"data": {**event.data, "attempt": 9}}) if event.data.get("attempt") == 1 else event
        for event in events
        if event.type == "attempt.began"
    ]
    assert [problem.partition(":")[0] for problem in leases_in(backwards, tasks)] == ["task-0"]


async def test_a_result_of_a_lease_that_was_lost_is_found(m: Mycelium) -> None:
    events, tasks = await told(m)
    stale = tasks[0].model_copy(update={"result": {"token": tasks[0].token - 1}})
    assert len(leases_in(events, [stale, tasks[1]])) == 1


async def test_a_task_that_was_not_completed_is_found(m: Mycelium) -> None:
    _, tasks = await told(m)
    assert outcomes_of([tasks[0].model_copy(update={"status": "running"}), tasks[1]]) == ["task-0 is running: None"]
