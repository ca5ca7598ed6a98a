"""Triggers: once for each cause, whoever keeps house and however often they begin anew."""

from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.client.firing import trigger_id
from mycelium.models import Task, Trigger
from mycelium.rules import fire_for_event, fire_on_statistic
from tests.contract.suite.base import Contract
from tests.contract.suite.flows import events_of, outcome, work_off
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, refuses

ADDED = {"event": {"channel": "files", "type": "added"}}
SCAN: dict[str, Any] = {"task": {"type": "scan", "payload": {"file": {"$from": "cause.data.file"}}}}


async def tasks_of_type(m: Mycelium, type: str) -> list[Task]:
    return [task for task in (await m.list_tasks(limit=1000)).records if task.type == type][::-1]


async def settle(m: Mycelium, rounds: int = 40) -> None:
    """Keep house until there is nothing to do."""
    for _ in range(rounds):
        if not await m.housekeep():
            return


class TriggerContract(Contract):
    async def test_an_event_makes_a_task_once_whoever_keeps_house(self, m: Mycelium, bob: Mycelium) -> None:
        await m.publish_event("files", {"file": "before"}, type="added")
        trigger = await m.create_trigger(ADDED, SCAN)
        for name in "ab":
            await bob.publish_event("files", {"file": name}, type="added")
        await bob.publish_event("files", {"file": "c"}, type="removed")
        assert await m.housekeep() == 2
        assert [await each.housekeep() for each in (m, bob, m)] == [0, 0, 0]
        made = await tasks_of_type(bob, "scan")
        assert [task.payload for task in made] == [{"file": "a"}, {"file": "b"}]
        assert {task.hops for task in made} == {1}
        assert (await bob.get_trigger(trigger.id)).fired == 2
        told = [event.data["task_id"] for event in await events_of(m, "trigger.fired")]
        assert told == [task.id for task in made]

    async def test_a_trigger_fires_as_often_as_it_may_and_is_done(self, m: Mycelium, bob: Mycelium) -> None:
        trigger = await m.create_trigger(ADDED, SCAN, times=2)
        for name in "abc":
            await bob.publish_event("files", {"file": name}, type="added")
        assert await m.housekeep() == 2
        assert [task.payload for task in await tasks_of_type(bob, "scan")] == [{"file": "a"}, {"file": "b"}]
        after = await bob.get_trigger(trigger.id)
        assert (after.status, after.fired, after.times) == ("done", 2, 2)

    async def test_the_same_event_again_fires_nothing(self, m: Mycelium, bob: Mycelium) -> None:
        trigger = await m.create_trigger(ADDED, SCAN)
        event = await m.publish_event("files", {"file": "a"}, type="added")
        assert (await m.backend.commit(lambda view: fire_for_event(view, trigger.id, event, id="one"))).result
        assert not (await bob.backend.commit(lambda view: fire_for_event(view, trigger.id, event, id="two"))).result
        assert [task.id for task in await tasks_of_type(m, "scan")] == ["t-one"]

    async def test_a_cause_makes_a_whole_workflow(self, m: Mycelium) -> None:
        template: dict[str, Any] = {
            "type": "intake",
            "tasks": [
                {"name": "each", "for_each": "cause.data.files", "payload": {"file": {"$from": "item"}}},
                {"name": "end", "payload": {"n": {"$from": "each.result.count"}, "by": {"$from": "cause.source"}}},
            ],
            "metadata": {"what": {"$from": "cause.type"}},
            "on_failure": "stop",
        }
        await m.create_trigger({"event": {"channel": "fil?s", "source": "a*"}}, {"workflow": template})
        trap: Any = {"$from": "workflow.metadata.what"}
        await m.publish_event("files", {"files": ["a", trap]}, type="added")
        await settle(m)
        (workflow,) = (await m.list_workflows()).records[-1:]
        assert (workflow.metadata, workflow.on_failure, workflow.hops) == ({"what": "added"}, "stop", 1)
        payloads: list[Any] = []

        def does(task: Task) -> dict[str, Any]:
            payloads.append(task.payload)
            return {}

        await work_off(m, does)
        assert payloads == [{"file": "a"}, {"file": trap}, {"n": 2, "by": "ada"}]
        assert await outcome(m, workflow.id) == "completed"

    async def test_an_event_is_asked_about_what_it_says(self, m: Mycelium) -> None:
        wanted = {"channel": "*", "where": {"path": "data.count", "op": ">", "value": 3}}
        await m.create_trigger({"event": wanted}, {"task": {"type": "many"}})
        for data in ({"count": 2}, {"count": 5}, {"count": "9"}, {"other": 1}):
            await m.publish_event("c", data)
        await settle(m)
        assert len(await tasks_of_type(m, "many")) == 1

    async def test_a_trigger_that_sets_itself_off_is_stopped_and_says_so(self, m: Mycelium) -> None:
        wild = await m.create_trigger({"event": {"type": "task.created"}}, {"task": {"type": "again"}})
        await m.create_task("go")
        await settle(m)
        found = await m.get_trigger(wild.id)
        assert (found.status, found.fired) == ("stopped", 10)
        assert "10 triggers in a row" in str(found.error)
        assert len(await tasks_of_type(m, "again")) == 10
        assert len(await events_of(m, "trigger.stopped")) == 1
        await m.start_trigger(wild.id)
        await settle(m)
        assert len(await tasks_of_type(m, "again")) == 10

    async def test_two_triggers_that_set_each_other_off_are_stopped(self, m: Mycelium) -> None:
        for one, other in (("ping", "pong"), ("pong", "ping")):
            where = {"path": "data.workflow_type", "value": one}
            then: dict[str, Any] = {"workflow": {"type": other, "tasks": []}}
            await m.create_trigger({"event": {"type": "workflow.created", "where": where}}, then)
        await m.create_workflow("ping")
        await settle(m)
        statuses = {each.status for each in (await m.list_triggers()).records}
        assert "stopped" in statuses
        assert len((await m.list_workflows(limit=100)).records) == 11

    async def test_what_an_agent_calls_hops_stops_nothing(self, m: Mycelium) -> None:
        trigger = await m.create_trigger({"event": {"channel": "net"}}, {"task": {"type": "trace"}})
        await m.publish_event("net", {"hops": 64})
        await settle(m)
        assert (await m.get_trigger(trigger.id)).status == "active"
        assert len(await tasks_of_type(m, "trace")) == 1
        async with refuses(m, "invalid_input"):
            await m.publish_event("triggers:events", type="trigger.created")

    async def test_a_cause_that_does_not_fit_the_template_is_reported_and_passed(self, m: Mycelium) -> None:
        trigger = await m.create_trigger(ADDED, SCAN)
        for data in ({"name": "a"}, {"file": "b"}):
            await m.publish_event("files", data, type="added")
        assert await m.housekeep() == 1
        await settle(m)
        assert [task.payload for task in await tasks_of_type(m, "scan")] == [{"file": "b"}]
        (told,) = await events_of(m, "trigger.failed")
        assert "has no 'file'; it has name" in str(told.data["error"])
        assert (await m.get_trigger(trigger.id)).fired == 1

    async def test_while_it_is_stopped_it_misses_what_happens(self, m: Mycelium) -> None:
        trigger = await m.create_trigger(ADDED, SCAN, trigger_id="mine")
        stopped = await m.stop_trigger("mine")
        assert await m.stop_trigger("mine") == stopped
        await m.publish_event("files", {"file": "missed"}, type="added")
        await settle(m)
        await m.start_trigger("mine")
        await m.publish_event("files", {"file": "seen"}, type="added")
        await settle(m)
        assert [task.payload for task in await tasks_of_type(m, "scan")] == [{"file": "seen"}]
        await m.remove_trigger(trigger.id)
        await m.publish_event("files", {"file": "late"}, type="added")
        await settle(m)
        assert len(await tasks_of_type(m, "scan")) == 1
        async with refuses(m, "not_found"):
            await m.get_trigger("mine")

    async def test_a_statistic_fires_when_it_crosses_and_not_while_it_stays(self, m: Mycelium, bob: Mycelium) -> None:
        when = {"statistic": {"statistic": "tasks.failed", "op": ">=", "value": 2}}
        trigger = await m.create_trigger(when, {"task": {"type": "alarm"}})
        for value, fired in ((1.0, 0), (2.0, 1), (3.0, 1), (1.0, 1), (2.0, 2)):
            await self._measure(m, trigger, value)
            await self._measure(bob, trigger, value)
            assert (await m.get_trigger(trigger.id)).fired == fired

    async def _measure(self, m: Mycelium, trigger: Trigger, value: float) -> None:
        id = trigger_id()
        await m.backend.commit(lambda view: fire_on_statistic(view, trigger.id, value, id=id))

    async def test_the_statistics_of_the_store_are_looked_at(self, m: Mycelium) -> None:
        await m.create_trigger({"statistic": {"statistic": "ready", "value": 1}}, {"task": {"type": "alarm"}})
        await m.housekeep()
        assert await tasks_of_type(m, "alarm") == []
        for _ in range(2):
            await m.create_task("x")
        await settle(m)
        assert len(await tasks_of_type(m, "alarm")) == 1

    async def test_an_agents_status_fires(self, m: Mycelium, bob: Mycelium, clock: FakeClock) -> None:
        await bob.see()
        then = {"task": {"type": "look", "payload": {"who": {"$from": "cause.data.agent"}}}}
        await m.create_trigger({"agent": {"agent": "b*", "status": "offline"}}, then)
        clock.advance(301)
        await settle(m)
        assert [task.payload for task in await tasks_of_type(m, "look")] == [{"who": "bob"}]

    @pytest.mark.parametrize(
        ("when", "then", "code"),
        [
            ({}, SCAN, "invalid_input"),
            ({**ADDED, "schedule": {"every_seconds": 5.0}}, SCAN, "invalid_input"),
            ({"event": {"channel": "a b"}}, SCAN, "invalid_input"),
            ({"event": {"where": {"op": ">"}}}, SCAN, "invalid_input"),
            ({"statistic": {"statistic": "nothing", "value": 1}}, SCAN, "invalid_input"),
            ({"statistic": {"statistic": "tasks.lost", "value": 1}}, SCAN, "invalid_input"),
            ({"agent": {"status": "asleep"}}, SCAN, "invalid_input"),
            (ADDED, {}, "invalid_input"),
            (ADDED, {"task": {"type": "x"}, "workflow": {"type": "y"}}, "invalid_input"),
            (ADDED, {"task": {"type": "x", "payload": {"y": {"$from": "event.data"}}}}, "unknown_reference"),
            (ADDED, {"task": {"type": "x", "condition": {"path": "cause.data.n", "value": 1}}}, "unknown_reference"),
            (ADDED, {"workflow": {"type": "x", "tasks": [{"name": "a", "depends_on": ["a"]}]}}, "dependency_cycle"),
            (
                ADDED,
                {"workflow": {"type": "x", "tasks": [{"name": "a", "condition": {"path": "cause.id", "value": 1}}]}},
                "unknown_reference",
            ),
            (5, SCAN, "invalid_input"),
            (ADDED, None, "invalid_input"),
        ],
    )
    async def test_a_wrong_trigger_is_refused(self, m: Mycelium, when: Any, then: Any, code: str) -> None:
        async with refuses(m, code):
            await m.create_trigger(when, then)

    async def test_an_id_is_given_once(self, m: Mycelium) -> None:
        await m.create_trigger(ADDED, SCAN, trigger_id="mine")
        async with refuses(m, "conflict"):
            await m.create_trigger(ADDED, SCAN, trigger_id="mine")

    async def test_a_conditional_chain_of_events_runs_to_its_end(self, m: Mycelium) -> None:
        await m.create_trigger(
            {"event": {"type": "task.completed", "where": {"path": "data.task_type", "value": "build"}}},
            {"task": {"type": "test", "payload": {"after": {"$from": "cause.data.task_id"}}}},
        )
        build = await m.create_task("build")
        await done(m, build.id)
        await settle(m)
        test = await claimed(m)
        assert (test.type, test.payload) == ("test", {"after": build.id})
        await m.complete_task(test.id)
        await settle(m)
        assert await m.claim_task() is None
