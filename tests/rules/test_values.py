"""References, conditions and schedules, where only the rule by itself can be looked at closely enough."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from mycelium.models import Condition
from mycelium.models.trigger import OnSchedule
from mycelium.rules.schedule import MAX_CATCH_UP, due_ticks, next_tick
from mycelium.rules.values import Unresolved, find, holds, refers, resolve

keys = st.sampled_from(["a", "b", "$from", "default", "0", "a.b"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def nowhere(_root: str) -> JsonValue:
    raise Unresolved("there is nothing")


@given(values)
def test_what_a_reference_leads_to_comes_out_as_it_is_however_often_it_is_resolved(value: Any) -> None:
    once = resolve({"x": {"$from": "root"}}, lambda _: value, again=True)
    assert resolve(once, nowhere) == {"x": value}
    assert resolve({"x": {"$from": "root"}}, lambda _: value) == {"x": value}


@given(values)
def test_what_refers_to_nothing_is_not_changed(value: Any) -> None:
    if not refers(value):
        assert resolve(value, nowhere) == value


@given(values, st.lists(st.text(min_size=1, max_size=12) | st.integers(0, 10**12).map(str), max_size=4))
def test_a_path_leads_to_what_is_there_or_is_refused(value: Any, steps: list[str]) -> None:
    try:
        found = find(("root", *steps), lambda _: value)
    except Unresolved as why:
        found, said = None, str(why)
    else:
        said = ""
        left: Any = value
        for step in steps:
            left = cast("Any", left[int(step)] if isinstance(left, list) else left[step])
        assert found == left
    assert len(said) < 1000


@given(values, values, st.sampled_from(["==", "!=", ">", ">=", "<", "<=", "in", "contains", "exists"]))
def test_a_condition_has_an_answer_or_says_why_not(value: Any, wanted: Any, op: Any) -> None:
    condition = Condition.model_construct(path=("root",), op=op, value=wanted)
    try:
        Condition(path=("root",), op=op, value=wanted)
        answer = holds(condition, lambda _: value)
    except (Unresolved, ValueError):
        return
    none = Condition.model_construct(none=(condition,))
    assert holds(none, lambda _: value) is not answer


lines = st.tuples(
    st.sampled_from(["0", "*/7", "15,45", "*"]),
    st.sampled_from(["*", "2", "*/5", "0-3"]),
    st.sampled_from(["*", "1", "*/9"]),
    st.sampled_from(["*", "3", "10"]),
    st.sampled_from(["*", "1-5", "SUN"]),
).map(" ".join)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/St_Johns"])
# Not Australia/Lord_Howe: where clocks change by half an hour, cronsim steps over a tick of `*/5` in that night.
moments = st.datetimes(datetime(2026, 1, 1), datetime(2031, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware here


@given(lines, zones, moments, st.floats(0, 30 * 24 * 3600))
@settings(deadline=None, max_examples=150)
def test_looking_back_finds_the_ticks_that_looking_forward_would(
    cron: str, zone: str, start: datetime, waited: float
) -> None:
    schedule = OnSchedule(cron=cron, timezone=zone, missed="run_all")
    first = next_tick(schedule, start)
    assert first is not None
    assert first > start
    now = first + timedelta(seconds=waited)
    expected: list[datetime] = []
    tick: datetime | None = first
    while tick is not None and tick <= now and len(expected) <= MAX_CATCH_UP:
        expected.append(tick)
        tick = next_tick(schedule, tick)
    ticks, following = due_ticks(schedule, first, now)
    if len(expected) <= MAX_CATCH_UP:
        assert ticks == expected
        assert following == tick
    else:
        assert len(ticks) == MAX_CATCH_UP
    assert due_ticks(schedule.model_copy(update={"missed": "run_once"}), first, now)[0] == ticks[-1:]


@given(st.floats(1, 10_000), moments, st.floats(0, 10**6))
@settings(deadline=None)
def test_an_interval_is_neither_early_nor_left_behind(every: float, since: datetime, waited: float) -> None:
    schedule = OnSchedule(every_seconds=every, missed="run_all")
    now = since + timedelta(seconds=waited)
    ticks, following = due_ticks(schedule, since, now)
    assert following is not None
    assert ticks[-1] <= now < following
    assert following - ticks[-1] == timedelta(seconds=every)
    assert len(set(ticks)) == len(ticks) <= MAX_CATCH_UP


@pytest.mark.parametrize("op", [">", "in", "exists"])
def test_a_question_without_an_answer_is_none(op: str) -> None:
    with pytest.raises(ValueError, match="needs"):
        Condition.model_validate({"path": "a.result.n", "op": op})
    assert cast("Any", Condition.model_validate({"path": "a.result.n"})).value is None
