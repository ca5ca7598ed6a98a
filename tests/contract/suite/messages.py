"""What messages bring is taken in once, under the id they give it, and leased to whoever took them."""

import pytest

from mycelium import Mycelium
from mycelium.errors import Conflict, IllegalTransition
from mycelium.models import Keeper, TaskSpec, WorkflowSpec
from mycelium.rules import keep_duty, leave_duty, take_duty
from tests.contract.suite.base import Contract
from tests.support.clock import FakeClock


def spec(message: str | None = None, **fields: object) -> TaskSpec:
    return TaskSpec.model_validate({"type": "scan", "idempotency_key": message, **fields})


class MessageContract(Contract):
    async def test_a_task_that_a_message_brings_is_leased_in_the_same_step(self, m: Mycelium) -> None:
        received = await m.receive_task(spec("message:1"), id="task-1", lease_seconds=9)
        assert (received.new, received.claimed) == (True, True)
        assert received.task is not None
        assert received.task == await m.get_task("task-1")
        assert received.task.lease is not None
        assert (received.task.status, received.task.attempt, received.task.lease.agent) == ("running", 1, m.agent)
        types = [event.type for event in (await m.read_events(["tasks:events"])).events]
        assert types == ["task.created", "task.started"]
        assert (await m.complete_task("task-1", {"found": 0})).status == "completed"  # the client knows the token

    async def test_the_same_message_again_is_the_same_task(self, m: Mycelium, bob: Mycelium) -> None:
        await m.receive_task(spec("message:1"), id="task-1")
        again = await bob.receive_task(spec("message:1"), id="task-1")
        assert again.task is not None
        assert (again.new, again.claimed, again.task.agent) == (False, False, m.agent)
        await m.complete_task("task-1")
        after = await bob.receive_task(spec("message:1"), id="task-1")
        assert after.task is not None
        assert (after.claimed, after.task.status, after.refusal) == (False, "completed", None)

    async def test_another_message_with_the_same_task_is_no_other_task(self, m: Mycelium) -> None:
        await m.receive_task(spec("message:1"), id="task-1")
        assert not (await m.receive_task(spec("message:2"), id="task-1")).new
        with pytest.raises(Conflict) as caught:
            await m.receive_task(spec("message:3", payload={"other": 1}), id="task-1")
        assert caught.value.data["differs"] == ["payload"]
        with pytest.raises(Conflict):
            await m.receive_task(spec("message:1"), id="task-2")

    async def test_what_is_for_others_is_added_and_left_to_them(self, m: Mycelium, bob: Mycelium) -> None:
        assigned = await m.receive_task(spec("message:1", assigned_to=bob.agent), id="task-1")
        assert (assigned.new, assigned.claimed, assigned.refusal) == (True, False, None)
        needing = await m.receive_task(spec("message:2", capabilities=["gpu"]), id="task-2")
        assert (needing.claimed, needing.refusal) == (False, None)
        await bob.store_agent_status(capabilities=["gpu"])
        claimed = [await bob.claim_task(addressed=True) for _ in range(3)]
        assert [task and task.id for task in claimed] == ["task-1", "task-2", None]

    async def test_what_the_receiver_cannot_do_says_so(self, m: Mycelium) -> None:
        received = await m.receive_task(spec("message:1"), id="task-1", types=["other"])
        assert received.refusal is not None
        assert (received.new, received.claimed, received.refusal.data["type"]) == (True, False, "scan")
        assert (await m.receive_task(spec("message:1"), id="task-1", types=["scan"])).claimed

    async def test_an_announced_task_is_leased_while_it_is_to_be_had(self, m: Mycelium, bob: Mycelium) -> None:
        task = await m.create_task("scan")
        assert (await bob.take_announced(task.id)).claimed
        again = await m.take_announced(task.id)
        assert (again.claimed, again.refusal) == (False, None)
        assert (await m.take_announced("gone")).task is None

    async def test_addressed_claims_leave_out_what_is_for_just_anyone(self, m: Mycelium) -> None:
        await m.create_task("plain", priority="critical")
        assert await m.claim_task(addressed=True) is None
        for_me = await m.create_task("mine", assigned_to=m.agent)
        in_lane = await m.create_task("laned", queue="llm")
        claimed = [await m.claim_task(addressed=True) for _ in range(3)]
        assert [task and task.id for task in claimed] == [for_me.id, in_lane.id, None]
        assert await m.claim_task(addressed=True, types=["plain"]) is None
        plain = await m.claim_task()
        assert plain is not None
        assert plain.type == "plain"

    async def test_a_workflow_that_a_message_brings_is_added_once(self, m: Mycelium, bob: Mycelium) -> None:
        wanted = WorkflowSpec.model_validate(
            {"type": "review", "mode": "parallel", "tasks": ["quality", "safety"], "metadata": {"from": "outside"}}
        )
        assert await m.receive_workflow(wanted, id="coord-1")
        assert not await bob.receive_workflow(wanted, id="coord-1")
        assert (await m.get_workflow("coord-1")).tasks == ("coord-1.quality", "coord-1.safety")
        with pytest.raises(Conflict):
            await m.receive_workflow(wanted.model_copy(update={"metadata": {}}), id="coord-1")

    async def test_an_event_that_a_message_brings_is_added_once(self, m: Mycelium, bob: Mycelium) -> None:
        assert await m.receive_event("system:events", "system.alert", {"disk": 1}, message_id="m-1")
        assert not await bob.receive_event("system:events", "system.alert", {"disk": 1}, message_id="m-1")
        assert await bob.receive_event("system:events", "system.alert", {"disk": 2}, message_id="m-2")
        events = (await m.read_events(["system:events"])).events
        assert [(event.type, event.data) for event in events] == [
            ("system.alert", {"disk": 1}), ("system.alert", {"disk": 2})
        ]  # fmt: skip

    async def test_each_duty_has_a_keeper_of_its_own(self, m: Mycelium, bob: Mycelium) -> None:
        async def taken(m: Mycelium, holder: str, seen: int) -> Keeper | None:
            committed = await m.backend.commit(lambda view: take_duty(view, "relay", holder, agent=m.agent, seen=seen))
            return committed.result

        assert await taken(m, "one", 0) is not None
        assert await taken(bob, "two", 0) is None
        kept = (await m.backend.commit(lambda view: keep_duty(view, "relay", "one", cursors={"tasks": 7}))).result
        assert kept is not None
        await m.backend.commit(lambda view: keep_duty(view, "relay", "one", cursors={"events": 9}))
        await m.backend.commit(lambda view: leave_duty(view, "relay", "one"))
        then = await taken(bob, "two", 4)
        assert then is not None
        assert then.cursors == {"tasks": 7, "events": 9}
        assert (await m.backend.commit(lambda view: keep_duty(view, "relay", "one", cursors={}))).result is None

    async def test_a_failed_task_is_done_again_with_all_its_attempts(self, m: Mycelium) -> None:
        task = await m.create_task("scan", max_attempts=2, retry_backoff=0)
        for _ in range(2):
            await m.claim_task(task.id)
            await m.fail_task(task.id, "broken")
        with pytest.raises(IllegalTransition):
            await m.claim_task(task.id)
        again = await m.retry_task(task.id)
        assert (again.status, again.attempt, again.error) == ("pending", 0, None)
        await m.claim_task(task.id)
        await m.complete_task(task.id)
        with pytest.raises(IllegalTransition):
            await m.retry_task(task.id)

    async def test_a_failed_task_of_a_workflow_is_done_again_with_it(self, m: Mycelium) -> None:
        workflow = await m.create_workflow("w", ["one", "two"])
        await m.claim_task(f"{workflow.id}.one")
        await m.fail_task(f"{workflow.id}.one", "broken")
        assert (await m.get_workflow(workflow.id)).status == "failed"
        assert (await m.retry_task(f"{workflow.id}.one")).status == "pending"
        assert (await m.get_workflow(workflow.id)).status == "running"

    async def test_a_task_that_is_lost_with_each_holder_fails_in_the_end(self, m: Mycelium, clock: FakeClock) -> None:
        task = await m.create_task("poison")
        for _ in range(11):
            assert (await m.get_task(task.id)).status == "pending"
            await m.claim_task(task.id, lease_seconds=1)
            clock.advance(2)
            await m.housekeep()
        lost = await m.get_task(task.id)
        assert lost.status == "failed"
        assert lost.error == {"error": "lost with its holder, at attempt 11", "code": "lost"}
