"""A file is a whole record, reads as people expect, and keeps what they write into it."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from mycelium import Mycelium
from mycelium.models import (
    Agent,
    Approval,
    Budget,
    Condition,
    Event,
    Lease,
    Record,
    Spent,
    Task,
    TaskSpec,
    Then,
    Trigger,
    When,
    Workflow,
    WorkflowSpec,
    WorkflowTask,
)
from mycelium.models.trigger import OnAgent, OnEvent, OnSchedule, OnStatistic
from mycelium_backends.markdown import forms, log, open_backend
from mycelium_backends.markdown.front import Unreadable
from mycelium_backends.markdown.sections import Glance
from tests.backends.markdown_folder import edit, opened, task_file
from tests.contract.suite.texts import ODD
from tests.contract.suite.transfer import fill
from tests.support.clock import FakeClock
from tests.support.store import claimed, done, snapshot
from tests.support.store import log as log_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
labels = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, values, max_size=3)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
seconds = st.floats(1e-9, 1e7)
conditions = st.recursive(
    st.builds(Condition, path=st.lists(labels, min_size=1, max_size=3).map(tuple), value=values),
    lambda inner: st.builds(Condition, all=st.lists(inner, min_size=1, max_size=2).map(tuple)),
    max_leaves=3,
)
specs = st.builds(
    TaskSpec, type=labels, title=texts, payload=objects, condition=st.none() | conditions,
    not_before=st.none() | moments, capabilities=st.lists(labels, max_size=2).map(tuple),
)  # fmt: skip
workflow_specs = st.builds(
    WorkflowSpec, type=labels, mode=st.sampled_from([None, "dag"]), metadata=objects,
    timeout_seconds=st.none() | seconds,
    on_failure=st.sampled_from(["stop", "compensate"]),
    tasks=st.lists(
        st.builds(WorkflowTask, name=st.just("a"), type=labels, for_each=values, undo=st.none() | specs), max_size=2
    ).map(tuple),
)  # fmt: skip
amounts = st.integers(0, 2**62)
in_workflows = {
    "queue": st.none() | labels,
    "capabilities": st.lists(labels, max_size=3).map(tuple),
    "condition": st.none() | conditions,
    "approval": st.none() | texts.filter(bool),
    "approved": st.none() | st.builds(Approval, by=texts, at=moments, note=texts),
    "budget": st.none() | st.builds(
        Budget, seconds=st.none() | seconds, tokens=st.none() | amounts, turns=st.none() | amounts),
    "spent": st.none() | st.builds(Spent, seconds=st.floats(0, 1e7), tokens=amounts, turns=amounts),
    "paused": st.booleans(),
    "template": st.none() | objects,
    "for_each": values,
    "workflow": st.none() | workflow_specs,
    "undo": st.none() | specs,
    "runs": st.sampled_from([None, "w", "1e5"]),
    "hops": amounts,
}  # fmt: skip
tasks = st.builds(
    Task,
    id=st.just("t-1"), type=labels, title=texts, payload=objects, result=st.none() | objects,
    error=st.none() | objects, status=st.sampled_from(["pending", "running", "completed", "failed", "skipped"]),
    assigned_to=st.sampled_from([None, "ada", "null", "true", "1e5"]), depends_on=st.just(()) | st.just(("a", "b.c")),
    priority=st.sampled_from(["low", "normal", "critical"]), max_attempts=st.integers(1, 9),
    retry_backoff=st.floats(0, 1e7), timeout_seconds=st.none() | st.floats(1e-9, 1e7), not_before=st.none() | moments,
    idempotency_key=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    blocked=st.booleans(), created_at=moments, updated_at=moments, started_at=st.none() | moments,
    progress=st.floats(0, 1), note=texts, attempt=st.integers(0, 9), token=st.integers(0, 2**62),
    lease=st.none() | st.builds(Lease, agent=st.just("ada"), token=st.integers(0, 9), expires_at=moments,
                                seconds=st.floats(1, 9)),
    version=st.integers(1, 2**62), **in_workflows,
)  # fmt: skip
agents = st.builds(
    Agent, name=st.just("ada"), last_updated=moments, status=st.sampled_from(["idle", "busy"]), metadata=objects,
    active_tasks=st.lists(texts, max_size=3).map(tuple), capabilities=st.lists(labels, max_size=3).map(tuple),
    ttl=st.floats(1, 1e7), failures=amounts, recovers_at=st.none() | moments,
)  # fmt: skip
workflows = st.builds(
    Workflow, id=st.just("w"), type=labels, mode=st.sampled_from(["dag", "sequential"]), tasks=st.just(("w.a", "w.b")),
    progress=st.floats(0, 1), current_task=st.none() | texts, result=st.none() | objects, metadata=objects,
    created_at=moments, updated_at=moments, status=st.sampled_from(["running", "paused", "compensating", "failed"]),
    on_failure=st.sampled_from(["continue", "stop", "compensate"]), parent=st.sampled_from([None, "t-1", "true"]),
    driver=st.sampled_from([None, "ada"]), timeout_at=st.none() | moments, hops=amounts,
    seconds_left=st.none() | st.floats(0, 1e7),
)  # fmt: skip
whens = st.one_of(
    st.builds(When, event=st.builds(OnEvent, type=st.just("file.*"), where=st.none() | conditions)),
    st.builds(When, schedule=st.builds(OnSchedule, cron=texts, timezone=texts)),
    st.builds(When, schedule=st.builds(OnSchedule, at=moments, missed=st.just("run_all"))),
    st.builds(When, statistic=st.builds(OnStatistic, statistic=st.just("tasks.failed"), value=st.floats(-1e9, 1e9))),
    st.builds(When, agent=st.builds(OnAgent, status=st.just("offline"))),
)
triggers = st.builds(
    Trigger, id=st.just("nightly"), when=whens, status=st.sampled_from(["active", "done", "stopped"]), fired=amounts,
    then=st.builds(Then, task=specs) | st.builds(Then, workflow=workflow_specs), last_fired_at=st.none() | moments,
    next_at=st.none() | moments, seq=amounts, armed=st.booleans(), error=st.none() | texts,
    created_by=st.none() | labels, created_at=moments, updated_at=moments, version=st.integers(1, 2**62),
)  # fmt: skip


events = st.builds(
    Event, seq=st.integers(1, 2**60), id=texts.filter(bool), channel=st.just("tasks:events"), type=labels,
    source=st.sampled_from([None, "ada"]), time=moments, data=objects,
)  # fmt: skip


def read_back(record: Record, text: str) -> Record:
    return type(record).model_validate(forms.read(record.kind, text).fields)


@settings(max_examples=300, deadline=None)
@given(st.one_of(tasks, agents, workflows, triggers))
def test_every_record_reads_back_as_it_was_written(record: Record) -> None:
    text = forms.write(record, {"a": Glance("x", "completed")})
    assert read_back(record, text).model_dump_json() == record.model_dump_json()
    assert forms.rewrite(text, record, {"a": Glance("x", "completed")}) == text


@settings(max_examples=200, deadline=None)
@given(tasks, tasks)
def test_a_file_with_notes_everywhere_takes_every_change_and_keeps_them(before: Task, after: Task) -> None:
    after = after.model_copy(update={"depends_on": before.depends_on})
    lines = forms.write(before, {}).split("\n")
    end = lines.index("---", 1)
    notes = [f"note {n}" for n in range(4)]
    headings = [n for n, line in enumerate(lines) if n > end and line.startswith("## ")]
    for note, at in zip(notes, [*reversed(headings[-3:]), end + 1], strict=False):
        lines[at:at] = [note, ""]
    lines[1:1] = ["# a comment", "mine: {a: [1, 2]}"]
    text = forms.rewrite("\n".join(lines), after, {})
    assert read_back(after, text).model_dump_json() == after.model_dump_json()
    for kept in [*notes, "# a comment", "mine: {a: [1, 2]}"]:
        assert text.count(f"{kept}\n") == 1


@settings(max_examples=200, deadline=None)
@given(events)
def test_every_event_reads_back_from_its_line(event: Event) -> None:
    line = log.line_of(event)
    assert line.count("\n") == 1
    assert log.parse(line) == event


async def test_any_text_comes_back_from_the_files_alone_and_leaves_them_texts(tmp_path: Path) -> None:
    odd = [each for each in ODD if each.isascii() or not "\ud800" <= each <= "\udfff"]
    async with opened(tmp_path) as m:
        for n, text in enumerate([*odd, *(f"a{each}b" for each in odd), "".join(odd)]):
            said: dict[str, JsonValue] = {text: [text]}
            await m.create_task("x", title=text, payload=said, idempotency_key=text)
            await m.store_agent_status(f"a-{n}", active_tasks=[text, "b"], metadata=said)
            await m.publish_event("c", said)
        tasks, agents = (await m.list_tasks(limit=100)).records, (await m.list_agents()).records
        told = await log_of(m)
    assert not [file for file in tmp_path.glob("*.md") if b"\0" in file.read_bytes()]
    shutil.rmtree(tmp_path / ".state")
    async with opened(tmp_path) as m:
        assert (await m.list_tasks(limit=100)).records == tasks
        assert (await m.list_agents()).records == agents
        assert await log_of(m) == told


async def test_a_file_looks_as_the_format_says(tmp_path: Path) -> None:
    async with opened(tmp_path) as m:
        first = await m.create_task("prepare-dataset")
        await done(m, first.id)
        task = await m.create_task("train-model", depends_on=[first.id], payload={"epochs": 3}, assigned_to="ada")
        text = task_file(tmp_path, task.id).read_text()
    matter, _, body = text.removeprefix("---\n").partition("---\n")
    said = [line.partition(":")[0] for line in matter.splitlines()]
    assert said == ["id", "type", "status", "assigned_to", "created", "updated", "version", "created_by"]
    assert (
        body
        == f"""
# Task: train-model

**Type**: train-model
**Status**: pending
**Assigned To**: ada

## Dependencies

- {first.id} (prepare-dataset) - COMPLETED ✅

## Payload

{{
  "epochs": 3
}}

## Progress

- [ ] Work (0 %)

## Result

_Not started._
"""
    )


async def test_an_agents_file_tells_since_when_it_works_on_what_it_holds(tmp_path: Path) -> None:
    async with opened(tmp_path) as m:
        task = await claimed(m, (await m.create_task("x")).id)
        await m.store_agent_status("ada", "busy", active_tasks=[task.id, "tea"], metadata={"gpu": "RTX"})
        text = (tmp_path / "agent-ada.md").read_text()
        assert task.started_at is not None
        assert f"- {task.id} (started: {task.started_at.isoformat().replace('+00:00', 'Z')})\n- tea\n" in text
        agent = await m.get_agent_status("ada")
        assert agent is not None
        assert agent.active_tasks == (task.id, "tea")


async def test_an_agents_file_that_a_person_wrote_keeps_since_when(tmp_path: Path) -> None:
    file = tmp_path / "agent-ada.md"
    file.write_text(
        "---\nagent: ada\nstatus: busy\n---\n\n## Active Tasks\n\n- task-123 (started: 2025-10-17T00:00:00Z)\n- tea\n"
    )
    async with opened(tmp_path) as m:
        await m.store_agent_status("ada", "busy", active_tasks=["task-123", "toast"])
        agent = await m.get_agent_status("ada")
        assert agent is not None
        assert agent.active_tasks == ("task-123", "toast")
    text = file.read_text()
    assert "version: " in text, "it was written whole"
    assert "- task-123 (started: 2025-10-17T00:00:00Z)\n- toast\n" in text
    assert "tea" not in text


async def test_what_people_write_survives_a_tasks_whole_life(tmp_path: Path) -> None:
    async with opened(tmp_path) as m:
        task = await m.create_task("x", max_attempts=2, retry_backoff=0)
        file = task_file(tmp_path, task.id)
        edit(file, "status: pending", "status: pending  # ask Bob\nowner-team: blue")
        edit(
            file,
            "## Payload",
            "Some thoughts.\n\n## Notes\n\n- [ ] buy milk\n\n```\n## not a heading\n```\n\n## Payload\n\nWhy:",
        )
        edit(file, "_Not started._", "_Not started._\n\nThe end.")
        await claimed(m, task.id)
        await m.fail_task(task.id, "oh")
        await done(m, task.id)
        text = file.read_text()
        assert (await m.get_task(task.id)).status == "completed"
    for kept in ("status: completed  # ask Bob", "owner-team: blue", "Some thoughts.", "- [ ] buy milk",
                 "## not a heading", "Why:", "The end."):  # fmt: skip
        assert text.count(kept) == 1, kept
    assert text.count("## Payload") == 1


async def test_the_files_alone_are_the_whole_store(tmp_path: Path) -> None:
    clock = FakeClock()

    async def everything() -> list[str]:
        store = await open_backend(f"markdown:{tmp_path}", clock)
        async with Mycelium.over(store, agent="ada", clock=clock, background=False) as m:
            found = await snapshot(m)
        await store.aclose()
        return found

    store = await open_backend(f"markdown:{tmp_path}", clock)
    async with Mycelium.over(store, agent="ada", clock=clock, background=False) as m:
        await fill(m, clock)
        clock.advance(40)
        await m.housekeep()
        before = await snapshot(m)
    after_leaving = await store.last_seq()
    await store.aclose()
    expected = await everything()
    assert len(expected) >= len(before)
    shutil.rmtree(tmp_path / ".state")
    assert await everything() == expected
    assert after_leaving == sum('"kind":"event"' in line for line in expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "front matter"),
        ("# Task", "front matter"),
        ("---\nid: x\n", "does not end"),
        ("---\nid: [x\n---\n", "not YAML"),
        ("---\n- a\n---\n", "key: value"),
        ("---\n{id: x, type: y}\n---\n", "one key a line"),
        ("---\nid: x\nid: y\n---\n", "twice"),
        ("---\nid: x\n<<<<<<< HEAD\ntype: a\n=======\ntype: b\n>>>>>>> b\n---\n", "conflict"),
        ("---\nid: x\n---\n## Payload\n\n{not: json}\n", "no JSON"),
        ('---\nid: x\n---\n## Payload\n\n{"a": 1} and more\n', "behind the JSON"),
        ("---\nid: " + "[" * 20_000 + "\n---\n", "within each other"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        forms.read("task", text)


def test_numbers_that_two_branches_gave_alike_are_given_anew() -> None:
    def event(seq: int, id: str) -> Event:
        fields: dict[str, Any] = {"channel": "c", "type": "t", "time": NOW + timedelta(seconds=seq)}
        return Event(seq=seq, id=id, **fields)

    file = [event(1, "a"), event(2, "b"), event(3, "b2"), event(2, "c"), event(3, "c2"), event(9, "d"), event(1, "a")]
    found = list(log.numbered(file, 0, lambda id: False))
    assert [(each.seq, each.id) for each in found] == [(1, "a"), (2, "b"), (3, "b2"), (4, "c"), (5, "c2"), (9, "d")]
    known = list(log.numbered(file, 3, lambda id: id in {"a", "c", "c2"}))
    assert [(each.seq, each.id) for each in known] == [(4, "b"), (5, "b2"), (9, "d")]
