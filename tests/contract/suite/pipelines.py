"""Pipelines: many calls in one round trip, each with an outcome of its own."""

import pytest

from mycelium import Mycelium
from mycelium.errors import InvalidInput, NotFound
from tests.contract.suite.base import Contract
from tests.support.store import log, refuses


class PipelineContract(Contract):
    async def test_a_pipeline_does_everything_at_the_end_of_its_block(self, m: Mycelium) -> None:
        async with m.pipeline() as p:
            agent = p.store_agent_status("eve", "busy")
            tasks = [p.create_task("x", title=str(number)) for number in range(50)]
            event = p.publish_event("team:notes", {"event": "begun"})
            assert len(p) == 52
            assert await m.last_seq() == 0
        assert agent.result() == await m.get_agent_status("eve")
        assert [task.result() for task in tasks] == await m.get_tasks([task.result().id for task in tasks])
        assert [task.result().title for task in tasks] == [str(number) for number in range(50)]
        assert event.result() in await log(m)

    async def test_execute_returns_the_results_in_order_and_empties_the_pipeline(self, m: Mycelium) -> None:
        p = m.pipeline()
        p.create_task("one")
        p.create_task("two")
        one, two = await p.execute()
        assert (one.type, two.type) == ("one", "two")
        assert await p.execute() == []
        p.create_task("three")
        (three,) = await p.execute()
        assert [task.id for task in (await m.list_tasks()).records] == [three.id, two.id, one.id]

    async def test_what_is_written_in_a_pipeline_takes_effect_in_its_order(self, m: Mycelium) -> None:
        async with m.pipeline() as p:
            for number in range(40):
                p.create_task("x", title=str(number))
                p.publish_event("team:notes", {"number": number})
                p.store_agent_status("eve", "busy" if number % 2 else "idle", metadata={"number": number})
        assert (await m.get_agent_status("eve")).metadata == {"number": 39}
        said = [event.data for event in await log(m) if event.channel == "team:notes"]
        assert said == [{"number": number} for number in range(40)]
        claimed = [await m.claim_task() for _ in range(40)]
        assert [task and task.title for task in claimed] == [str(number) for number in range(40)]

    async def test_each_call_sees_what_those_before_it_did(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        async with m.pipeline() as p:
            urgent = p.create_task("y", priority="critical")
            claim = p.claim_task()
            p.claim_task(task.id)
            p.update_task(task.id, progress=0.5)
            seen = p.get_task(task.id)
            p.complete_task(task.id, {"ok": True})
            after = p.get_task(task.id)
        first = claim.result()
        assert first is not None
        assert first.id == urgent.result().id
        assert (seen.result().status, seen.result().progress) == ("running", 0.5)
        assert (after.result().status, after.result().result) == ("completed", {"ok": True})

    async def test_statuses_that_follow_each_other_do_so_in_a_pipeline(self, m: Mycelium) -> None:
        task = await m.create_task("x")
        async with m.pipeline() as p:
            p.update_task_status(task.id, "running", progress=0.1)
            p.update_task_status(task.id, "completed", answer=42)
        assert (await m.get_task(task.id)).result == {"answer": 42}

    async def test_claims_in_a_row_give_each_task_once(self, m: Mycelium) -> None:
        made = [await m.create_task("x") for _ in range(30)]
        async with m.pipeline() as p:
            claims = [p.claim_task() for _ in range(31)]
        held = [task.id for task in (claim.result() for claim in claims) if task]
        assert sorted(held) == sorted(task.id for task in made)

    async def test_a_failed_call_does_not_stop_the_others_and_is_raised_at_the_end(self, m: Mycelium) -> None:
        p = m.pipeline()
        p.create_task("before")
        lost = p.get_task("t-gone")
        after = p.create_task("after")
        p.complete_task("t-gone")
        with pytest.raises(NotFound) as caught:
            await p.execute()
        assert caught.value is lost.error
        assert "2 of its 4 calls failed" in caught.value.__notes__[0]
        assert after.result().type == "after"
        assert [task.type for task in (await m.list_tasks()).records] == ["after", "before"]

    async def test_errors_stand_in_their_calls_places_where_that_is_wanted(self, m: Mycelium) -> None:
        async with m.pipeline(return_errors=True) as p:
            p.get_task("t-gone")
            made = p.create_task("x")
            unnamed = p.create_task("")
        assert made.error is None
        assert isinstance(unnamed.error, InvalidInput)
        p.get_task("t-gone")
        p.get_task(made.result().id)
        error, task = await p.execute()
        assert (error.code, task) == ("not_found", made.result())

    async def test_a_pipeline_that_is_left_by_an_error_does_nothing(self, m: Mycelium) -> None:
        async with refuses(m, "not_found"), m.pipeline() as p:
            p.create_task("x")
            await m.get_task("t-gone")

    async def test_a_wrong_argument_is_told_before_anything_has_happened(self, m: Mycelium) -> None:
        p = m.pipeline()
        p.create_task("x")
        with pytest.raises(TypeError, match="colour"):
            p.create_task("x", colour="red")  # pyright: ignore[reportCallIssue] - the mistake that is meant
        assert len(p) == 1
        assert await m.last_seq() == 0

    async def test_a_result_is_there_only_after_the_call(self, m: Mycelium) -> None:
        p = m.pipeline()
        call = p.create_task("x")
        async with refuses(m, "invalid_input"):
            call.result()
