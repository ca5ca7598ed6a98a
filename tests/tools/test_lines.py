"""Records as lines of text."""

from datetime import UTC, datetime

import pytest

from mycelium.models import Approval, Budget, Event, Keeper, Lease, Spent, Stats, Task, Trigger, Workflow
from mycelium_tools.lines import (
    WIDTH,
    event_line,
    keeper_line,
    listed_workflow,
    short_task_line,
    stats_lines,
    task_details,
    task_line,
    trigger_line,
)

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
PLAIN = Task(id="t-0123456789abcde", type="review", created_at=NOON, updated_at=NOON)
HELD = PLAIN.model_copy(
    update={
        "status": "running",
        "title": "Fix\nthe login",
        "priority": "high",
        "progress": 0.4,
        "lease": Lease(agent="ada", token=7, expires_at=NOON, seconds=60),
    }
)


def test_a_plain_task_is_id_status_and_type() -> None:
    assert task_line(PLAIN) == "t-0123456789abcde pending review"


def test_what_is_unusual_is_said_on_one_line() -> None:
    assert task_line(HELD) == "t-0123456789abcde running review: Fix the login high 40% @ada"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"assigned_to": "bob"}, "for bob"),
        ({"blocked": True}, "blocked"),
        ({"not_before": NOON}, "from 01-31T12:00Z"),
        ({"priority": "critical"}, "critical"),
        ({"approval": "Sure?"}, "unapproved"),
        ({"approval": "Sure?", "blocked": True}, "blocked"),
        ({"paused": True}, "paused"),
    ],
)
def test_what_a_pending_task_waits_for_is_said(fields: dict[str, object], said: str) -> None:
    assert task_line(PLAIN.model_copy(update=fields)) == f"t-0123456789abcde pending review {said}"


def test_a_finished_task_shows_neither_progress_nor_assignee() -> None:
    done = PLAIN.model_copy(update={"status": "completed", "progress": 1.0, "assigned_to": "bob"})
    assert task_line(done) == "t-0123456789abcde completed review"


@pytest.mark.parametrize("agent", ["ada", "agent-0123456789-0123456789"])
@pytest.mark.parametrize("title", ["", "short", "long " * 100])
def test_in_a_listing_the_title_gives_way(agent: str, title: str) -> None:
    lease = Lease(agent=agent, token=7, expires_at=NOON, seconds=60)
    line = short_task_line(HELD.model_copy(update={"title": title, "lease": lease}))
    assert len(line) <= WIDTH
    assert line.startswith("t-0123456789abcde running ")
    assert "high 40% @a" in line


def test_details_have_everything_there_is_and_nothing_else() -> None:
    task = HELD.model_copy(update={"payload": {"a": 1}, "note": "half way", "max_attempts": 3, "attempt": 2})
    assert task_details(task, ["t-1"]).splitlines()[1:] == [
        "lease: until 2030-01-31T12:00:00Z",
        "note: half way",
        "attempt: 2 of 3",
        "waiting_on: t-1",
        'payload: {"a":1}',
    ]


def test_details_say_who_may_do_it_what_it_may_take_and_who_said_yes() -> None:
    task = PLAIN.model_copy(
        update={
            "queue": "gpu",
            "capabilities": ("cuda", "python"),
            "approval": "Sure?",
            "budget": Budget(seconds=60, tokens=500),
            "spent": Spent(tokens=20),
        }
    )
    assert task_details(task).splitlines()[1:] == [
        "queue: gpu",
        "needs: cuda, python",
        f"approval: Sure? - only a person can say yes: mycelium approve {task.id}",
        "budget: 60 seconds, 500 tokens",
        "spent: 20 tokens",
    ]
    approved = task.model_copy(update={"approved": Approval(by="grace", at=NOON, note="go\non")})
    assert "approval: by grace: go on" in task_details(approved).splitlines()


def test_a_workflow_says_its_policy_its_state_and_its_error() -> None:
    workflow = Workflow(
        id="w-1", type="order", tasks=("w-1.pay",), status="compensating", on_failure="compensate",
        error={"error": "no van"}, created_at=NOON, updated_at=NOON,
    )  # fmt: skip
    assert listed_workflow(workflow) == (
        'w-1 compensating order: 0% of 1 tasks, sequential, compensate on failure error: {"error":"no van"}'
    )


def test_a_trigger_says_when_what_how_often_and_what_went_wrong() -> None:
    trigger = Trigger.model_validate(
        {
            "id": "tr-1", "when": {"schedule": {"cron": "0 9 * * *"}}, "then": {"workflow": {"type": "daily"}},
            "fired": 3, "next_at": NOON, "error": "no\nroom", "created_at": NOON, "updated_at": NOON,
        }
    )  # fmt: skip
    assert trigger_line(trigger) == (
        'tr-1 active when schedule {"cron":"0 9 * * *"} then workflow daily fired 3 next 2030-01-31T12:00:00Z '
        "error: no room"
    )


def test_stats_say_who_keeps_house() -> None:
    keeper = Keeper(holder="ada-1", agent="ada", since=NOON, at=NOON, expired=2, fired=1)
    lines = stats_lines(Stats(mode="memory", url="memory:", triggers={"active": 2}, housekeeper=keeper)).splitlines()
    assert lines[-3:-1] == ["triggers: 2 active", "housekeeper: ada since 2030-01-31T12:00:00Z, 2 expired, 1 fired"]
    assert keeper_line(keeper.model_copy(update={"holder": None})).startswith("nobody, ")


def test_an_events_data_is_cut_in_text() -> None:
    event = Event(seq=3, id="e-3", channel="news", type="said", time=NOON, data={"text": "x" * 1000})
    assert event_line(event).startswith('3 news said - {"text":"xxx')
    assert len(event_line(event)) < 330
