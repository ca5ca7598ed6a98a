"""Every tool, over the protocol, in both eras."""

import json
from typing import Any

import anyio
import pytest

from mycelium.client.base import system_clock
from mycelium_backends.memory import MemoryBackend
from tests.support.connection import Connection, connect, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(system_clock)


@pytest.fixture(params=["legacy", "auto"])
async def ada(request: pytest.FixtureRequest, backend: MemoryBackend) -> Any:
    async with connect(backend, "ada", mode=request.param) as connection:
        yield connection


async def test_a_task_goes_from_creation_to_completion(ada: Connection) -> None:
    created = await ada.ask("create_task", type="review", title="Look", payload={"pull_request": 7})
    task_id = created["task_id"]
    assert created["task"]["id"] == task_id
    assert created["task"]["status"] == "pending"
    claimed = await ada.ask("claim_task")
    assert claimed["task"]["id"] == task_id
    assert claimed["task"]["payload"] == {"pull_request": 7}
    assert claimed["lease_token"] > 0
    assert "token" not in claimed["task"]["lease"]
    updated = await ada.ask("update_task", task_id=task_id, progress=0.5, note="half way")
    assert (updated["task"]["progress"], updated["task"]["note"]) == (0.5, "half way")
    completed = await ada.ask("complete_task", task_id=task_id, result={"verdict": "good"})
    assert completed["task"]["status"] == "completed"
    found = await ada.ask("get_task", task_id=task_id)
    assert found["task"]["result"] == {"verdict": "good"}


async def test_only_the_claim_tells_the_token_of_a_lease(ada: Connection) -> None:
    await ada.ask("create_task", type="review")
    claimed = await ada.call("claim_task")
    token, task_id = claimed.structured_content["lease_token"], claimed.structured_content["task"]["id"]
    assert str(token) in text_of(claimed)
    for reply in (await ada.call("get_task", task_id=task_id), await ada.call("list_tasks")):
        assert str(token) not in text_of(reply)
        assert str(token) not in str(reply.structured_content)


async def test_creating_says_the_id_first(ada: Connection) -> None:
    text = await ada.text("create_task", type="review")
    assert text.startswith("task_id: t-")


async def test_claiming_shows_all_that_the_work_needs(ada: Connection) -> None:
    await ada.ask("create_task", type="review", payload={"pull_request": 7})
    text = await ada.text("claim_task", types=["review"], lease_seconds=30)
    assert 'payload: {"pull_request":7}' in text
    assert "lease_token: " in text


async def test_claiming_when_nothing_is_ready_says_how_to_wait(ada: Connection) -> None:
    result = await ada.call("claim_task")
    assert (result.is_error, result.structured_content) == (False, {"task": None})
    assert "read_events" in await ada.text("claim_task", types=["other"])


async def test_a_blocked_task_names_what_it_is_waiting_on(ada: Connection) -> None:
    first = (await ada.ask("create_task", type="build"))["task_id"]
    second = await ada.ask("create_task", type="test", depends_on=[first])
    assert second["task"]["waiting_on"] == [first]
    assert f"waiting_on: {first}" in await ada.text("get_task", task_id=second["task_id"])
    refused = await ada.refused("claim_task", task_id=second["task_id"])
    assert (refused["code"], refused["depends_on"]) == ("not_claimable", [first])


async def test_a_failed_attempt_is_repeated_unless_told_otherwise(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="build", max_attempts=3))["task_id"]
    await ada.ask("claim_task", task_id=task_id)
    again = (await ada.ask("fail_task", task_id=task_id, error="flaky"))["task"]
    assert (again["status"], again["error"]) == ("pending", {"error": "flaky"})
    other = (await ada.ask("create_task", type="build", max_attempts=3))["task_id"]
    await ada.ask("claim_task", task_id=other)
    assert (await ada.ask("fail_task", task_id=other, error={"why": "no"}, retry=False))["task"]["status"] == "failed"


async def test_a_released_task_is_there_for_others(ada: Connection, backend: MemoryBackend) -> None:
    task_id = (await ada.ask("create_task", type="build"))["task_id"]
    await ada.ask("claim_task")
    assert (await ada.ask("update_task", task_id=task_id, release=True))["task"]["status"] == "pending"
    async with connect(backend, "bob") as bob:
        assert (await bob.ask("claim_task"))["task"]["lease"]["agent"] == "bob"


async def test_cancelling_skips_what_needed_it(ada: Connection) -> None:
    first = (await ada.ask("create_task", type="build"))["task_id"]
    second = (await ada.ask("create_task", type="test", depends_on=[first]))["task_id"]
    cancelled = await ada.ask("cancel_task", task_id=first, reason="not wanted")
    assert (cancelled["task"]["status"], cancelled["task"]["error"]) == ("cancelled", {"error": "not wanted"})
    assert (await ada.ask("get_task", task_id=second))["task"]["status"] == "skipped"


async def test_cancelling_with_an_old_lease_is_refused(ada: Connection) -> None:
    task_id = (await ada.ask("create_task", type="build"))["task_id"]
    token = (await ada.ask("claim_task"))["lease_token"]
    refused = await ada.refused("cancel_task", task_id=task_id, lease_token=token - 1)
    assert (refused["code"], refused["holder"]) == ("stale_lease", "ada")
    assert (await ada.ask("cancel_task", task_id=task_id, lease_token=token))["task"]["status"] == "cancelled"


async def test_listing_filters_and_pages(ada: Connection) -> None:
    ids = [(await ada.ask("create_task", type="build", title=f"part {n}"))["task_id"] for n in range(5)]
    await ada.ask("create_task", type="test", assigned_to="bob")
    first = await ada.ask("list_tasks", search="PART", limit=3)
    rest = await ada.ask("list_tasks", search="PART", limit=3, cursor=first["cursor"])
    assert [task["id"] for task in first["tasks"] + rest["tasks"]] == ids[::-1]
    assert "cursor" not in rest
    assert [task["type"] for task in (await ada.ask("list_tasks", assigned_to="bob"))["tasks"]] == ["test"]
    assert (await ada.ask("list_tasks", status="running")) == {"tasks": []}
    assert len((await ada.ask("list_tasks", ready=True))["tasks"]) == 6


async def test_fifty_tasks_are_listed_in_under_3000_characters(ada: Connection) -> None:
    for number in range(51):
        await ada.ask(
            "create_task", type="code-review", title=f"Review pull request {number} with a title that runs on and on",
            priority="high", assigned_to="ada", payload={"text": "x" * 1000},
        )  # fmt: skip
        if number % 3 == 0:
            task_id = (await ada.ask("claim_task"))["task"]["id"]
            await ada.ask("update_task", task_id=task_id, progress=0.25)
    text = await ada.text("list_tasks", limit=50)
    assert len(text.splitlines()) == 51  # with the cursor
    assert len(text) < 3000
    assert len(json.dumps((await ada.ask("list_tasks", limit=50))["tasks"])) < 25_000  # payloads stay out


@pytest.mark.parametrize(("name", "lines"), [("measure-the-module-number", 50), ("x" * 100, 20)])
async def test_a_listing_stays_under_3000_characters_however_long_the_ids(
    ada: Connection, name: str, lines: int
) -> None:
    names = [f"{name}-{number:03}" for number in range(60)]
    workflow = await ada.ask("create_workflow", type="w", tasks=names)
    listed: list[str] = []
    arguments: dict[str, Any] = {"limit": 50}
    while True:
        result = await ada.call("list_tasks", **arguments)
        shown, page = text_of(result), result.structured_content
        assert len(shown) < 3000
        assert [line.split()[0] for line in shown.splitlines() if "cursor=" not in line] == [
            task["id"] for task in page["tasks"]
        ]
        listed += [task["id"] for task in page["tasks"]]
        if "cursor" not in page:
            break
        assert len(page["tasks"]) >= lines
        arguments["cursor"] = page["cursor"]
    assert listed == workflow["workflow"]["tasks"][::-1]


async def test_an_idempotency_key_makes_one_task(ada: Connection) -> None:
    once = await ada.ask("create_task", type="build", idempotency_key="k")
    assert (await ada.ask("create_task", type="build", idempotency_key="k"))["task_id"] == once["task_id"]
    refused = await ada.refused("create_task", type="build", title="other", idempotency_key="k")
    assert (refused["code"], refused["task_id"]) == ("conflict", once["task_id"])


async def test_agents_say_and_see_what_they_do(ada: Connection) -> None:
    said = await ada.ask("set_agent_status", status="busy", capabilities=["python"], metadata={"host": "a"}, ttl=60)
    assert said["agent"]["name"] == "ada"
    assert (await ada.ask("get_agent_status", agent="ada"))["agent"]["metadata"] == {"host": "a"}
    assert await ada.text("list_agents") == "ada busy can python"
    assert (await ada.ask("list_agents", status="error")) == {"agents": []}


async def test_agents_are_listed_in_pages(ada: Connection) -> None:
    for name in ("bob", "cleo"):
        await ada.ask("set_agent_status", agent=name)
    first = await ada.ask("list_agents", limit=2)
    rest = await ada.ask("list_agents", limit=2, cursor=first["cursor"])
    assert [agent["name"] for agent in first["agents"] + rest["agents"]] == ["ada", "bob", "cleo"]


async def test_events_are_published_and_read_from_a_cursor(ada: Connection) -> None:
    published = await ada.ask("publish_event", channel="news", type="greeting", data={"text": "hello"})
    assert (published["event"]["source"], published["event"]["data"]) == ("ada", {"text": "hello"})
    latest = await ada.ask("read_events", channels=["news"])
    assert [event["type"] for event in latest["events"]] == ["greeting"]
    assert (await ada.ask("read_events", after=latest["cursor"]))["events"] == []
    await ada.ask("publish_event", channel="news", data={"event": "parting"})
    later = await ada.ask("read_events", after=latest["cursor"])
    assert [event["type"] for event in later["events"]] == ["parting"]
    assert f"next: after={later['cursor']}" in await ada.text("read_events", after=latest["cursor"])


async def test_large_events_come_in_several_replies(ada: Connection) -> None:
    start = (await ada.ask("read_events"))["cursor"]
    sizes = [100_000, 100_000, 100_000, 1_000_000, 100_000]
    for size in sizes:
        await ada.ask("publish_event", channel="news", data={"text": "x" * size})
    replies: list[list[int]] = []
    cursor = start
    while sum(map(len, replies)) < len(sizes):
        read = await ada.ask("read_events", channels=["news"], after=cursor)
        replies.append([len(event["data"]["text"]) for event in read["events"]])
        cursor = read["cursor"]
    assert replies == [[100_000, 100_000], [100_000], [1_000_000], [100_000]]
    newest = await ada.ask("read_events", channels=["news"])
    assert [len(event["data"]["text"]) for event in newest["events"]] == [100_000]
    assert newest["cursor"] == cursor


async def test_agents_that_say_much_come_in_several_replies(ada: Connection) -> None:
    for name in ("bob", "cleo", "dan"):
        await ada.ask("set_agent_status", agent=name, metadata={"text": "x" * 100_000})
    first = await ada.ask("list_agents")
    rest = await ada.ask("list_agents", cursor=first["cursor"])
    assert [[agent["name"] for agent in page["agents"]] for page in (first, rest)] == [["ada", "bob", "cleo"], ["dan"]]


async def test_waiting_for_events_ends_when_one_comes_and_holds_up_nothing(ada: Connection) -> None:
    got: list[dict[str, Any]] = []

    async def wait() -> None:
        got.append(await ada.ask("read_events", channels=["news"], wait_seconds=600))

    await ada.ask("get_stats")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            while not got:
                # Each is answered while the other call waits; one of them comes after the wait has begun.
                await ada.ask("publish_event", channel="news", type="wake")
    assert [event["type"] for event in got[0]["events"]][:1] == ["wake"]


async def test_waiting_in_vain_ends_in_time_with_a_cursor(ada: Connection) -> None:
    cursor = (await ada.ask("read_events"))["cursor"]
    waited = await ada.ask("read_events", channels=["news"], wait_seconds=0.05)
    assert (waited["events"], waited["cursor"]) == ([], cursor)


async def test_a_wait_can_be_cancelled_by_the_client(ada: Connection) -> None:
    await ada.ask("get_stats")
    with anyio.move_on_after(0.05) as scope:
        await ada.client.call_tool("read_events", {"wait_seconds": 600})
    assert scope.cancelled_caught
    assert (await ada.ask("get_stats"))["mode"] == "memory"


async def test_a_workflow_of_names_runs_in_order(ada: Connection) -> None:
    created = await ada.ask("create_workflow", type="train", tasks=["prepare", "fit"], metadata={"voice": "alice"})
    workflow_id = created["workflow_id"]
    assert created["workflow"]["tasks"] == [f"{workflow_id}.prepare", f"{workflow_id}.fit"]
    for _ in range(2):
        task_id = (await ada.ask("claim_task"))["task"]["id"]
        await ada.ask("complete_task", task_id=task_id, result={"done": task_id})
    found = await ada.ask("get_workflow", workflow_id=workflow_id)
    assert (found["workflow"]["status"], found["workflow"]["progress"]) == ("completed", 1.0)
    assert [task["status"] for task in found["tasks"]] == ["completed", "completed"]


async def test_a_workflow_of_specs_is_shown_line_by_line(ada: Connection) -> None:
    specs = [{"name": "a", "payload": {"n": 1}}, "b", {"name": "c", "depends_on": ["a", "b"], "priority": "high"}]
    workflow_id = (await ada.ask("create_workflow", type="w", tasks=specs))["workflow_id"]
    lines = (await ada.text("get_workflow", workflow_id=workflow_id)).splitlines()
    assert lines == [
        f"{workflow_id} running w: 0% of 3 tasks, dag",
        f"{workflow_id}.a pending a",
        f"{workflow_id}.b pending b",
        f"{workflow_id}.c pending c high blocked",
    ]


async def test_a_big_workflow_is_shown_in_part(ada: Connection) -> None:
    tasks = [f"n{number}" for number in range(150)]
    text = await ada.text("create_workflow", type="w", tasks=tasks, mode="parallel")
    assert len(text.splitlines()) == 102
    assert text.splitlines()[-1].startswith("and 50 more: list_tasks workflow_id=w-")


async def test_stats_count_what_is_there(ada: Connection) -> None:
    await ada.ask("create_task", type="build")
    stats = await ada.ask("get_stats")
    assert (stats["tasks"], stats["ready"], stats["mode"]) == ({"pending": 1}, 1, "memory")
    assert "tasks: 1 pending (1 ready)" in await ada.text("get_stats")
