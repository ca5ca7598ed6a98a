"""The rules of tasks, where only a rule by itself can be looked at closely enough."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mycelium import rules
from mycelium.errors import DependencyCycle
from mycelium.models import TRANSITIONS, Task, TaskSpec
from tests.rules.view import NOW, TableView


def made(view: TableView, id: str, **spec: object) -> Task:
    """A new task in the view."""
    wanted = TaskSpec.model_validate({"type": "x", **spec})
    return view.apply(rules.create_task(view, wanted, id=id, created_by="ada"))


def claimed(view: TableView, id: str) -> Task:
    return view.apply(rules.claim_task(view, id, agent="ada", seconds=10))


def test_a_task_cannot_depend_on_itself() -> None:
    view = TableView()
    with pytest.raises(DependencyCycle) as caught:
        made(view, "t", depends_on=["t"])
    assert caught.value.data == {"cycle": ["t", "t"]}
    assert not view.records


def test_a_rule_does_not_touch_the_records_it_is_given() -> None:
    view = TableView()
    before = made(view, "t")
    rules.claim_task(view, "t", agent="ada", seconds=10)
    rules.cancel_task(view, "t", reason=None, by="ada")
    assert view.get(Task, "t") == before
    assert before.status == "pending"


@given(
    backoff=st.floats(0, 366 * 24 * 3600),
    attempts=st.integers(1, 200),
)
@settings(deadline=None, max_examples=30)
def test_a_pause_never_shrinks_and_never_exceeds_an_hour(backoff: float, attempts: int) -> None:
    view = TableView()
    made(view, "t", max_attempts=1000, retry_backoff=backoff)
    pauses: list[float] = []
    for _ in range(attempts):
        token = claimed(view, "t").token
        task = view.apply(rules.fail_task(view, "t", token=token, error={"error": "x"}, retry=True))
        pauses.append((task.not_before - view.now).total_seconds() if task.not_before else 0)
        view.now = task.not_before or view.now
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(min(backoff, 3600), abs=1e-6)
    assert pauses[-1] <= 3600


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30))
@settings(deadline=None)
def test_tokens_grow_whatever_the_clock_does(jumps: list[int]) -> None:
    view = TableView()
    made(view, "t")
    tokens: list[int] = []
    for jump in jumps:
        view.now += timedelta(microseconds=jump)
        tokens.append(claimed(view, "t").token)
        view.apply(rules.release_task(view, "t", token=tokens[-1]))
    assert tokens == sorted(set(tokens))


def test_a_token_from_before_a_restored_backup_is_not_given_again() -> None:
    """A store put back to an older state forgets tokens; those it gives next are still higher, for time went on."""
    view, restored = TableView(), TableView()
    made(view, "t")
    made(restored, "t")
    token = claimed(view, "t").token
    restored.now += timedelta(seconds=1)
    assert claimed(restored, "t").token > token


VERBS = ["claim", "complete", "fail", "fail for good", "cancel", "release", "wait"]


@given(
    specs=st.lists(
        st.tuples(
            st.lists(st.integers(0, 4), max_size=3),
            st.sampled_from(["all_succeeded", "all_done", "any_failed"]),
            st.integers(1, 2),
        ),
        min_size=1,
        max_size=5,
    ),
    steps=st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 4)), max_size=30),
)
@settings(deadline=None, max_examples=300)
def test_every_change_of_status_is_in_the_table(
    specs: list[tuple[list[int], str, int]], steps: list[tuple[str, int]]
) -> None:
    view = TableView()
    for number, (after, run_when, attempts) in enumerate(specs):
        depends_on = [f"t{other}" for other in after if other < number]
        made(view, f"t{number}", depends_on=depends_on, run_when=run_when, max_attempts=attempts, timeout_seconds=15)
    for verb, number in steps:
        _step(view, verb, f"t{number % len(specs)}")
    for before, after in view.changes:
        assert after in TRANSITIONS[before], f"{before} -> {after}"


def _step(view: TableView, verb: str, id: str) -> None:
    task = view.get(Task, id)
    assert task is not None
    match verb:
        case "claim" if task.ready(view.now):
            claimed(view, id)
        case "cancel" if task.open:
            view.apply(rules.cancel_task(view, id, reason=None, by=None))
        case "wait":
            view.now += timedelta(seconds=7)
            for each in view.tasks():
                view.apply(rules.expire_task(view, each.id))
        case _ if task.status != "running":
            pass
        case "complete":
            view.apply(rules.complete_task(view, id, token=task.token, result=None))
        case "fail" | "fail for good":
            view.apply(rules.fail_task(view, id, token=task.token, error={}, retry=verb == "fail"))
        case "release":
            view.apply(rules.release_task(view, id, token=task.token))
        case _:
            pass


def test_the_table_of_statuses_leads_from_an_outcome_only_to_a_retry() -> None:
    assert TRANSITIONS["completed"] == frozenset()
    for status in ("failed", "cancelled", "skipped"):
        assert TRANSITIONS[status] == {"pending"}
    assert {to for targets in TRANSITIONS.values() for to in targets} == set(TRANSITIONS)


def test_what_is_not_due_does_not_expire() -> None:
    view = TableView()
    made(view, "t")
    claimed(view, "t")
    view.now = NOW + timedelta(seconds=9.999999)
    assert rules.expire_task(view, "t").result is None
    assert rules.expire_task(view, "nowhere").result is None
    view.now = NOW + timedelta(seconds=10)
    assert rules.expire_task(view, "t").result is not None
