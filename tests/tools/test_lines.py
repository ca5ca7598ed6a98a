"""Records as lines of text."""

from datetime import UTC, datetime

import pytest

from mycelium.models import Event, Lease, Task
from mycelium_tools.lines import WIDTH, event_line, short_task_line, task_details, task_line

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


def test_an_events_data_is_cut_in_text() -> None:
    event = Event(seq=3, id="e-3", channel="news", type="said", time=NOON, data={"text": "x" * 1000})
    assert event_line(event).startswith('3 news said - {"text":"xxx')
    assert len(event_line(event)) < 330
