"""Waiting for what others do."""

from collections.abc import Sequence

import anyio

from mycelium import Mycelium
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import fails_at, work_off
from tests.support.store import PATIENCE, refuses


class WaitingContract(Contract):
    async def test_a_task_a_workflow_and_several_tasks_are_waited_for(self, m: Mycelium, bob: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a", {"name": "each", "for_each": [1, 2]}])
        async with anyio.create_task_group() as waiting:
            whats: list[str | Sequence[str]] = [workflow.id, workflow.tasks[0], workflow.tasks[1], workflow.tasks]
            for what in whats:
                waiting.start_soon(self._wait, bob, what)
            await work_off(m)

    async def _wait(self, m: Mycelium, what: str | Sequence[str]) -> None:
        state = await m.wait_for(what, wait_seconds=PATIENCE)
        assert state.succeeded

    async def test_a_deadline_gives_back_what_there_is(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["a"])
        state = await m.wait_for(workflow.id, wait_seconds=0.01)
        assert not state.finished
        assert await m.wait_for_event({"channel": "none"}, wait_seconds=0.01) is None

    async def test_what_is_undone_is_followed_to_its_end(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", [{"name": "a", "undo": "una"}, "b"], on_failure="compensate")
        counts: list[int] = []
        async with anyio.create_task_group() as working:
            async for state in m.follow_workflow(workflow.id):
                if not counts:
                    working.start_soon(work_off, m, fails_at("b"))
                counts.append(state.counts.get("completed", 0))
        assert counts[-1] == 2

    async def test_an_event_is_waited_for_by_a_pattern(self, m: Mycelium, bob: Mycelium) -> None:
        before = await m.last_seq()
        await bob.publish_event("files", {"n": 1}, type="added")
        second = await bob.publish_event("files", {"n": 2}, type="added")
        pattern = {"channel": "f*", "type": "add??", "where": {"path": "data.n", "op": ">", "value": 1}}
        assert await m.wait_for_event(pattern, after=before, wait_seconds=PATIENCE) == second
        await bob.create_trigger({"event": {}}, {"task": {"type": "x"}})
        told = await m.wait_for_event({"type": "trigger.created"}, after=before, wait_seconds=PATIENCE)
        assert told is not None
        assert told.channel == "triggers:events"

    async def test_what_is_not_there_is_not_waited_for(self, m: Mycelium) -> None:
        async with refuses(m, "not_found"):
            await m.wait_for("t-nowhere")
        async with refuses(m, "invalid_input"):
            await m.wait_for_event({"colour": "red"})
