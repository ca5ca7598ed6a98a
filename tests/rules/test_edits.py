"""What people do by hand goes the way of a tool, or is refused."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mycelium.errors import IllegalTransition, InvalidInput
from mycelium.models import TRANSITIONS, Task, TaskStatus
from mycelium.rules import complete_task, grant
from mycelium.rules.edits import BY_HAND, PERSON, edit_task, make_task
from tests.rules.view import NOW, TableView

STATUSES: tuple[TaskStatus, ...] = get_args(TaskStatus)


def task(id: str = "t", **fields: Any) -> Task:
    return Task(id=id, type="x", created_at=NOW, updated_at=NOW, **fields)


@given(st.lists(st.sampled_from(STATUSES), max_size=5))
def test_no_edit_makes_a_transition_that_no_tool_could_make(wanted: list[TaskStatus]) -> None:
    view = TableView()
    view.apply(make_task(view, task()))
    for status in wanted:
        before = view.tasks()[0]
        try:
            after = view.apply(edit_task(view, before.model_copy(update={"status": status})))
        except IllegalTransition:
            assert not before.open or status == "skipped"
            continue
        assert after.status == status
        assert (after.lease is not None) == (status == "running")
        if before.status != status:
            assert status in TRANSITIONS[before.status] | TRANSITIONS["running"]


def test_who_sets_a_task_to_running_holds_it_for_a_day() -> None:
    view = TableView()
    view.apply(make_task(view, task()))
    running = view.apply(edit_task(view, task(status="running")))
    assert running.lease is not None
    assert (running.lease.agent, running.lease.seconds, running.attempt) == (PERSON, BY_HAND, 1)


def test_a_finished_edit_leaves_the_holders_token_good_for_nothing_else() -> None:
    view = TableView()
    made = view.apply(make_task(view, task()))
    held = view.apply(grant(view, made, agent="ada", seconds=5))
    done = view.apply(edit_task(view, held.model_copy(update={"status": "completed", "result": {"by": "hand"}})))
    assert view.apply(complete_task(view, "t", token=held.token, result={"by": "ada"})) == done


@pytest.mark.parametrize("field", ["depends_on", "token", "attempt", "workflow_id", "created_by", "idempotency_key"])
def test_what_nobody_may_change_is_refused_by_name(field: str) -> None:
    view = TableView()
    made = view.apply(make_task(view, task()))
    value: object = ("other",) if field == "depends_on" else 7 if field in ("token", "attempt") else "other"
    with pytest.raises(InvalidInput, match=field):
        edit_task(view, made.model_copy(update={field: value}))


def test_what_waits_on_an_edited_task_learns_of_it() -> None:
    view = TableView()
    view.apply(make_task(view, task("first")))
    view.apply(make_task(view, task("second", depends_on=("first",))))
    assert view.tasks()[1].blocked
    change = edit_task(view, task("first", status="completed"))
    view.apply(change)
    assert not view.tasks()[1].blocked
    assert [event.type for event in change.events] == ["task.started", "task.completed", "task.ready"]
