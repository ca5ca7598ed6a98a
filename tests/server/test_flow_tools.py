"""The tools for workflows that execute, for waiting and for triggers, over the protocol, in both eras."""

from typing import Any

import anyio
import pytest

from mycelium import Mycelium
from mycelium.client.base import system_clock
from mycelium_backends.memory import MemoryBackend
from tests.support.connection import Connection, connect

FILES = ["a.py", "b.py"]


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(system_clock)


@pytest.fixture(params=["legacy", "auto"])
async def ada(request: pytest.FixtureRequest, backend: MemoryBackend) -> Any:
    async with connect(backend, "ada", mode=request.param, profile="all") as connection:
        yield connection


async def finish(ada: Connection, **results: dict[str, Any]) -> None:
    """Do all that is ready, each task with the result of its type."""
    while task := (await ada.ask("claim_task"))["task"]:
        await ada.ask("complete_task", task_id=task["id"], result=results.get(task["type"], {}))


async def test_a_workflow_repeats_for_each_and_hands_results_on(ada: Connection) -> None:
    tasks: list[object] = [
        "survey",
        {"name": "review", "for_each": "survey.result.files", "payload": {"file": {"$from": "item"}}},
        {"name": "report", "payload": {"all": {"$from": "review.result.items"}}},
    ]
    workflow_id = (await ada.ask("create_workflow", type="scan", tasks=tasks))["workflow_id"]
    await finish(ada, survey={"files": FILES}, review={"good": True}, report={"verdict": "fine"})
    waited = await ada.ask("wait_for", workflow_id=workflow_id)
    assert (waited["ended"], waited["workflow"]["status"]) == (True, "completed")
    text = await ada.text("wait_for", workflow_id=workflow_id)
    assert text.startswith(f"{workflow_id} completed scan: 100% of 3 tasks")
    assert '"verdict":"fine"' in text
    held = await ada.ask("get_task", task_id=f"{workflow_id}.review")
    assert held["task"]["result"]["count"] == len(FILES)
    assert f"runs: get_workflow workflow_id={workflow_id}.review" in await ada.text(
        "get_task", task_id=f"{workflow_id}.review"
    )
    report = await ada.ask("get_task", task_id=f"{workflow_id}.report")
    assert report["task"]["payload"] == {"all": [{"good": True}] * len(FILES)}


async def test_a_workflow_that_compensates_says_so(ada: Connection) -> None:
    tasks = [{"name": "pay", "undo": "refund"}, "ship"]
    created = await ada.text(
        "create_workflow", type="order", tasks=tasks, on_failure="compensate", timeout_seconds="60"
    )
    workflow_id = created.split()[0]
    assert created.splitlines()[0].endswith("0% of 2 tasks, sequential, compensate on failure")
    await ada.ask("complete_task", task_id=(await ada.ask("claim_task"))["task"]["id"])
    await ada.ask("fail_task", task_id=(await ada.ask("claim_task"))["task"]["id"], error="no stock")
    assert " compensating order" in await ada.text("get_workflow", workflow_id=workflow_id)
    await finish(ada)
    ended = await ada.text("wait_for", workflow_id=workflow_id)
    assert ended.startswith(f"{workflow_id} failed order")
    assert "no stock" in ended.splitlines()[-1]
    assert "no stock" in await ada.text("list_workflows", status="failed")


async def test_a_wait_ends_with_the_task_and_says_its_result(ada: Connection, backend: MemoryBackend) -> None:
    task_id = (await ada.ask("create_task", type="build"))["task_id"]
    got: list[dict[str, Any]] = []

    async def wait() -> None:
        got.append(await ada.ask("wait_for", task_id=task_id, wait_seconds=600))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        async with connect(backend, "bob") as bob:
            await bob.ask("claim_task")
            await bob.ask("complete_task", task_id=task_id, result={"bytes": 7})
    assert (got[0]["ended"], got[0]["task"]["result"]) == (True, {"bytes": 7})


async def test_a_wait_in_vain_says_so_and_what_there_is(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="build"))["task_id"]
    assert not (await ada.ask("wait_for", task_id=task_id, wait_seconds=0))["ended"]
    assert (await ada.text("wait_for", task_id=task_id, wait_seconds=0)).splitlines()[-1].startswith("Not ended yet")
    assert (await ada.ask("wait_for", channel="news", wait_seconds=0.05)) == {"ended": False, "event": None}


async def test_a_failed_task_ends_a_wait_with_its_error(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="build"))["task_id"]
    await ada.ask("claim_task")
    await ada.ask("fail_task", task_id=task_id, error="no compiler")
    assert 'error: {"error":"no compiler"}' in await ada.text("wait_for", task_id=task_id)


async def test_a_wait_for_an_event_ends_when_one_like_it_comes(ada: Connection) -> None:
    got: list[dict[str, Any]] = []

    async def wait() -> None:
        got.append(await ada.ask("wait_for", channel="build*", type="done", wait_seconds=600))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            while not got:
                # One of them comes after the wait has begun.
                await ada.ask("publish_event", channel="build:main", type="begun")
                await ada.ask("publish_event", channel="build:main", type="done", data={"ok": True})
    assert (got[0]["event"]["type"], got[0]["event"]["data"]) == ("done", {"ok": True})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"task_id": "t-1", "workflow_id": "w-1"},
        {"task_id": "t-1", "channel": "news"},
        {"workflow_id": "w-1", "type": "done"},
        {"task_id": "t-1", "wait_seconds": 3601},
        {"task_id": "t-1", "wait_seconds": -1},
        {"channel": "no spaces here"},
    ],
)
async def test_a_wait_for_nothing_plain_is_refused(ada: Connection, arguments: dict[str, Any]) -> None:
    assert (await ada.refused("wait_for", **arguments))["code"] == "invalid_input"


@pytest.mark.parametrize("which", ["task_id", "workflow_id"])
async def test_a_wait_for_what_is_not_there_is_refused_at_once(ada: Connection, which: str) -> None:
    assert (await ada.refused("wait_for", **{which: "x-1"}))["code"] == "not_found"


async def test_a_task_in_a_queue_is_for_those_who_ask_there_and_can(ada: Connection) -> None:
    made = await ada.ask("create_task", type="train", queue="gpu", capabilities=["cuda"])
    assert (await ada.ask("claim_task", queues=["gpu"]))["task"] is None
    await ada.ask("set_agent_status", capabilities=["cuda"])
    assert (await ada.ask("claim_task", queues=["cpu"]))["task"] is None
    text = await ada.text("claim_task", queues=["gpu"])
    assert text.startswith(made["task_id"])
    assert {"queue: gpu", "needs: cuda"} <= set(text.splitlines())


async def test_a_budget_that_is_used_up_stops_the_task(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="write", budget={"tokens": "1000", "turns": 5}))["task_id"]
    await ada.ask("claim_task")
    missing = await ada.refused("complete_task", task_id=task_id)
    assert (missing["code"], missing["fields"]) == ("invalid_input", ["spent"])
    await ada.ask("update_task", task_id=task_id, spent={"tokens": 600, "turns": 2})
    shown = await ada.text("get_task", task_id=task_id)
    assert {"budget: 1000 tokens, 5 turns", "spent: 600 tokens, 2 turns"} <= set(shown.splitlines())
    over = await ada.refused("update_task", task_id=task_id, spent={"tokens": 600})
    assert (over["code"], over["task_id"]) == ("budget_exceeded", task_id)
    assert (await ada.ask("get_task", task_id=task_id))["task"]["status"] == "failed"


async def test_a_workflow_is_paused_resumed_cancelled_and_retried(ada: Connection) -> None:
    workflow_id = (await ada.ask("create_workflow", type="w", tasks=["a"]))["workflow_id"]
    paused = await ada.text("control_workflow", workflow_id=workflow_id, action="pause")
    assert paused.startswith(f"{workflow_id} paused w")
    assert (await ada.ask("claim_task"))["task"] is None
    assert "paused" in (await ada.text("get_workflow", workflow_id=workflow_id)).splitlines()[1]
    await ada.ask("control_workflow", workflow_id=workflow_id, action="resume")
    cancelled = await ada.ask("control_workflow", workflow_id=workflow_id, action="cancel", reason="not now")
    assert (cancelled["workflow"]["status"], cancelled["workflow"]["error"]) == ("cancelled", {"error": "not now"})
    refused = await ada.refused("control_workflow", workflow_id=workflow_id, action="pause")
    assert refused["code"] == "illegal_transition"
    retried = await ada.ask("control_workflow", workflow_id=workflow_id, action="retry")
    assert retried["workflow"]["status"] == "running"
    refused = await ada.refused("control_workflow", workflow_id=workflow_id, action="retry", reason="x")
    assert (refused["code"], refused["fields"]) == ("invalid_input", ["reason"])


async def test_a_workflow_is_driven_by_hand(ada: Connection, backend: MemoryBackend) -> None:
    workflow_id = (await ada.ask("create_workflow", type="release"))["workflow_id"]
    updated = await ada.ask("update_workflow", workflow_id=workflow_id, progress="0.5", current_task="tagging")
    assert (updated["workflow"]["progress"], updated["workflow"]["current_task"]) == (0.5, "tagging")
    async with connect(backend, "bob", profile="all") as bob:
        refused = await bob.refused("update_workflow", workflow_id=workflow_id, progress=0.6)
        assert refused["code"] in {"conflict", "illegal_transition"}
    done = await ada.ask("complete_workflow", workflow_id=workflow_id, result={"tag": "v1"})
    assert (done["workflow"]["status"], done["workflow"]["result"]) == ("completed", {"tag": "v1"})
    again = await ada.refused("fail_workflow", workflow_id=workflow_id, error="too late")
    assert again["code"] == "illegal_transition"
    other = (await ada.ask("create_workflow", type="release"))["workflow_id"]
    failed = await ada.ask("fail_workflow", workflow_id=other, error="no key")
    assert (failed["workflow"]["status"], failed["workflow"]["error"]) == ("failed", {"error": "no key"})


async def test_workflows_are_listed_in_pages(ada: Connection) -> None:
    ids = [(await ada.ask("create_workflow", type="w", tasks=["a"]))["workflow_id"] for _ in range(3)]
    first = await ada.ask("list_workflows", limit=2)
    rest = await ada.ask("list_workflows", limit=2, cursor=first["cursor"])
    assert [each["id"] for each in first["workflows"] + rest["workflows"]] == ids[::-1]
    assert (await ada.text("list_workflows", status="paused")) == "No such workflows."


async def test_a_trigger_fires_once_for_a_cause_until_it_is_stopped(ada: Connection, backend: MemoryBackend) -> None:
    when = {"event": {"channel": "files", "type": "added"}}
    then = {"task": {"type": "scan", "payload": {"file": {"$from": "cause.data.file"}}, "max_attempts": "3"}}
    text = await ada.text("create_trigger", when=when, then=then, trigger_id="scans")
    assert text == ('trigger_id: scans active when event {"channel":"files","type":"added"} then task scan fired 0')
    await ada.ask("publish_event", channel="files", type="added", data={"file": "a.py"})
    waited = await ada.ask("wait_for", channel="tasks:events", type="task.created", wait_seconds=0.01)
    with anyio.fail_after(10):
        while (task := (await ada.ask("claim_task"))["task"]) is None:
            await ada.ask("wait_for", channel="tasks:events", wait_seconds=0.05)
    assert (task["type"], task["payload"], task["max_attempts"]) == ("scan", {"file": "a.py"}, 3)
    assert waited["event"] is None or waited["event"]["data"]["task_type"] == "scan"
    assert (await ada.ask("list_triggers"))["triggers"][0]["fired"] == 1
    stopped = await ada.ask("set_trigger", trigger_id="scans", active=False)
    assert stopped["trigger"]["status"] == "stopped"
    assert (await ada.ask("set_trigger", trigger_id="scans", active=True))["trigger"]["status"] == "active"
    assert "triggers: 1 active" in await ada.text("get_stats")
    await ada.ask("remove_trigger", trigger_id="scans")
    assert (await ada.text("list_triggers")) == "No such triggers."
    assert (await ada.refused("remove_trigger", trigger_id="scans"))["code"] == "not_found"


async def test_stats_say_who_keeps_house(ada: Connection) -> None:
    with anyio.fail_after(10):
        while "housekeeper" not in (stats := await ada.ask("get_stats")):
            await ada.ask("wait_for", channel="none", wait_seconds=0.05)
    assert stats["housekeeper"]["agent"] == "ada"
    assert "housekeeper: ada since " in await ada.text("get_stats")


CIRCLE = [{"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}]
TASK = {"task": {"type": "t"}}
AWAY = {"task": {"type": "t", "payload": {"x": {"$from": "other.x"}}}}


def flow(*tasks: object) -> dict[str, Any]:
    return {"type": "w", "tasks": list(tasks)}


def then_task(**when: object) -> dict[str, Any]:
    return {"when": when, "then": TASK}


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("create_workflow", flow(*CIRCLE), "dependency_cycle"),
        ("create_workflow", flow({"name": "a", "payload": {"x": {"$from": "b.result.x"}}}), "unknown_reference"),
        ("create_workflow", flow({"name": "a", "for_each": "gone.result.x"}), "unknown_reference"),
        ("create_workflow", flow({"name": "a", "for_each": 7}), "invalid_input"),
        ("create_workflow", flow("a", {"name": "b", "condition": {"path": "a.result.n", "op": ">", "value": True}}),
         "invalid_input"),
        ("create_workflow", flow("a", {"name": "b", "condition": "a.result.n > 3"}), "invalid_input"),
        ("create_workflow", {**flow("a"), "on_failure": "panic"}, "invalid_input"),
        ("create_task", {"type": "t", "payload": {"x": {"$from": "t-9.result.x"}}}, "unknown_reference"),
        ("create_task", {"type": "t", "budget": {"money": 3}}, "invalid_input"),
        ("create_task", {"type": "t", "budget": {"tokens": -1}}, "invalid_input"),
        ("create_trigger", then_task(schedule={"cron": "61 * * * *"}), "invalid_schedule"),
        ("create_trigger", then_task(schedule={"cron": "0 0 30 2 *"}), "invalid_schedule"),
        ("create_trigger", then_task(schedule={"cron": "0 9 * * *", "timezone": "Mars/Base"}), "invalid_schedule"),
        ("create_trigger", then_task(schedule={"every_seconds": "soon"}), "invalid_input"),
        ("create_trigger", then_task(event={}, agent={"status": "error"}), "invalid_input"),
        ("create_trigger", then_task(statistic={"statistic": "ready", "value": "many"}), "invalid_input"),
        ("create_trigger", {"when": {"event": {}}, "then": {}}, "invalid_input"),
        ("create_trigger", {"when": {"event": {}}, "then": AWAY}, "unknown_reference"),
        ("set_trigger", {"trigger_id": "tr-1", "active": "perhaps"}, "invalid_input"),
        ("set_trigger", {"trigger_id": "tr-1", "active": True}, "not_found"),
        ("control_workflow", {"workflow_id": "w-1", "action": "explode"}, "invalid_input"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_in_words(ada: Connection, tool: str, arguments: dict[str, Any], code: str) -> None:
    refused = await ada.refused(tool, **arguments)
    assert refused["code"] == code
    assert refused["message"]


async def test_a_list_that_is_too_long_to_go_through_ends_the_workflow_in_words(ada: Connection) -> None:
    made = await ada.ask("create_workflow", **flow("list", {"name": "each", "for_each": "list.result.items"}))
    await finish(ada, list={"items": list(range(10_001))})
    assert "the limit is 10000" in await ada.text("wait_for", workflow_id=made["workflow_id"])


async def test_a_trigger_that_feeds_itself_is_stopped_and_says_why(ada: Connection, backend: MemoryBackend) -> None:
    when = {"event": {"channel": "tasks:events", "type": "task.created"}}
    await ada.ask("create_trigger", when=when, then={"task": {"type": "again"}}, trigger_id="loop")
    await ada.ask("create_task", type="go")
    async with Mycelium.over(backend, agent="keeper", background=False) as keeper:
        with anyio.fail_after(10):
            while (await keeper.get_trigger("loop")).status == "active":
                await keeper.housekeep()
    text = await ada.text("list_triggers", status="stopped")
    assert text.startswith("loop stopped when event")
    assert "error: " in text


async def test_a_person_is_told_something_about_a_task(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="deploy"))["task_id"]
    told = await ada.ask("notify_user", user="u-7", message="It is out.", level="success", task_id=task_id)
    event = told["event"]
    assert (event["channel"], event["type"], event["source"]) == ("users:events", "user.notification", "ada")
    assert (event["data"]["user"], event["data"]["task_id"], event["data"]["level"]) == ("u-7", task_id, "success")
    assert "Told u-8 in event" in await ada.text("notify_user", user="u-8", message="m", data='{"url": "x"}')
    assert (await ada.refused("notify_user", user="u-7", message="m", level="loud"))["code"] == "invalid_input"
    assert (await ada.refused("notify_user", user="u-7", message="m", task_id="t-none"))["code"] == "not_found"
