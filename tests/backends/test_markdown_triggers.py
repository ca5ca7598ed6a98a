"""A trigger is a file that people read, edit and commit; the housekeeper's record is none."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mycelium import Mycelium
from mycelium.client.firing import Firing
from mycelium.errors import StoreDamaged
from mycelium.models import HOUSE, TRIGGERS, Event, Keeper, Task, Trigger, TriggerQuery, Workflow
from mycelium.rules import Change
from tests.backends.markdown_folder import edit, opened, task_file
from tests.contract.suite.kinds import puts
from tests.support.store import claimed, log

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT: dict[str, Any] = {"created_at": NOW, "updated_at": NOW}
SMALL = """---
status: active
---
Scan what comes in.

## When

{"event": {"channel": "files", "type": "file.*"}}

## Then

{"task": {"type": "scan", "payload": {"file": {"$from": "cause.data.file"}}}}
"""


def ticking(id: str = "nightly", **fields: Any) -> Trigger:
    said = {"when": {"schedule": {"every_seconds": 5.0}}, "then": {"task": {"type": "scan"}}}
    return Trigger.model_validate({"id": id, **said, **AT, "next_at": NOW, **fields})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "team"


@pytest.fixture
async def m(folder: Path) -> AsyncGenerator[Mycelium]:
    async with opened(folder) as m:
        yield m


async def trigger(m: Mycelium, id: str = "nightly") -> Trigger:
    (found,) = await m.backend.get(Trigger, [id])
    assert found is not None
    return found


async def told_of_triggers(m: Mycelium) -> list[Event]:
    return [event for event in await log(m) if event.channel == TRIGGERS]


async def test_a_triggers_file_looks_as_the_format_says(m: Mycelium, folder: Path) -> None:
    await m.backend.commit(puts(ticking(fired=2, last_fired_at=NOW)))
    text = (folder / "trigger-nightly.md").read_text()
    assert (
        text
        == """---
id: nightly
status: active
created: 2030-01-01T00:00:00Z
updated: 2030-01-01T00:00:00Z
version: 1
fired: 2
last_fired_at: 2030-01-01T00:00:00Z
next_at: 2030-01-01T00:00:00Z
---

# Trigger: nightly

**Status**: active

## When

{
  "schedule": {
    "every_seconds": 5.0
  }
}

## Then

{
  "task": {
    "type": "scan"
  }
}
"""
    )


async def test_a_trigger_is_stopped_and_started_by_hand(m: Mycelium, folder: Path) -> None:
    await m.backend.commit(puts(ticking(error="it ran wild")))
    file = folder / "trigger-nightly.md"
    edit(file, "status: active", "status: stopped")
    assert (await trigger(m)).status == "stopped"
    assert "**Status**: stopped" in file.read_text()
    edit(file, "status: stopped", "status: active")
    now = await trigger(m)
    assert (now.status, now.error, now.version) == ("active", None, 3)
    assert now.next_at is not None
    assert [(event.type, event.data) for event in await told_of_triggers(m)] == [
        ("trigger.edited", {"trigger_id": "nightly", "status": status, "fields": ["status"]})
        for status in ("stopped", "active")
    ]


async def test_what_a_trigger_waits_for_and_does_is_changed_by_hand(m: Mycelium, folder: Path) -> None:
    await m.backend.commit(puts(ticking(fired=1)))
    file = folder / "trigger-nightly.md"
    edit(file, '"type": "scan"', '"type": "sweep", "queue": "llm"')
    now = await trigger(m)
    assert now.then.task is not None
    assert (now.then.task.type, now.then.task.queue, now.next_at) == ("sweep", "llm", NOW)
    edit(file, '"every_seconds": 5.0', '"cron": "0 9 * * *"')
    now = await trigger(m)
    assert now.when.schedule is not None
    assert (now.when.schedule.cron, now.fired) == ("0 9 * * *", 1)
    assert now.next_at is not None
    assert (now.next_at.hour, now.next_at.minute) == (9, 0)


async def test_a_trigger_is_written_by_hand(m: Mycelium, folder: Path) -> None:
    (folder / "trigger-scan.md").write_text(SMALL)
    made = await trigger(m, "scan")
    assert (made.status, made.fired, made.version) == ("active", 0, 1)
    assert made.then.task is not None
    assert made.then.task.payload == {"file": {"$from": "cause.data.file"}}
    assert (await m.backend.find(TriggerQuery())).records == [made]
    assert [event.type for event in await told_of_triggers(m)] == ["trigger.created"]
    assert "Scan what comes in." in (folder / "trigger-scan.md").read_text()


async def test_a_trigger_that_could_never_make_anything_is_not_taken_up(m: Mycelium, folder: Path) -> None:
    file = folder / "trigger-scan.md"
    file.write_text(SMALL.replace("cause.data", "couse.data"))
    with pytest.raises(StoreDamaged, match=r"(?s)trigger-scan\.md.*couse"):
        await trigger(m, "scan")
    edit(file, "couse.data", "cause.data")
    assert (await trigger(m, "scan")).status == "active"


async def test_removing_the_file_removes_the_trigger_and_the_reverse(m: Mycelium, folder: Path) -> None:
    await m.backend.commit(puts(ticking("a"), ticking("b")))
    (folder / "trigger-a.md").unlink()
    assert await m.backend.get(Trigger, ["a"]) == [None]
    assert (await told_of_triggers(m))[-1].type == "trigger.removed"
    other = await trigger(m, "b")
    await m.backend.commit(lambda view: Change(None, removes=(other,)))
    assert not (folder / "trigger-b.md").exists()
    assert (await m.backend.stats()).triggers == {}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("status: active", "status: done", "cannot be made done by hand"),
        ("fired: 1", "fired: 7", "cannot be given other fired by hand"),
        ('"every_seconds": 5.0', '"every_seconds": -1', "when.schedule.every_seconds"),
        ("## When", "## Whenever", "when"),
        ('{\n  "task"', '{\n  "tusk"', "then"),
        (
            '"schedule": {\n    "every_seconds": 5.0',
            '"statistic": {\n    "statistic": "tasks.faild", "value": 1',
            "faild",
        ),
        ('"type": "scan"', '"type": "scan", "payload": {"n": {"$from": "couse.data.n"}}', "couse"),
    ],
)
async def test_what_makes_no_trigger_is_left_alone_and_says_why(
    m: Mycelium, folder: Path, old: str, new: str, why: str
) -> None:
    before = ticking(fired=1)
    await m.backend.commit(puts(before))
    file = folder / "trigger-nightly.md"
    edit(file, old, new)
    text = file.read_text()
    with pytest.raises(StoreDamaged, match=f"(?s)trigger-nightly.md.*{why}"):
        await trigger(m)
    assert (file.read_text(), (await m.backend.due(10)).records) == (text, [])
    edit(file, new, old)
    assert await trigger(m) == before


async def test_a_trigger_of_another_copy_is_taken_over_as_it_is(m: Mycelium, folder: Path, tmp_path: Path) -> None:
    async with opened(tmp_path / "other") as other:
        theirs = ticking(fired=4, version=6, seq=9)
        await other.backend.commit(puts(theirs))
        file = (tmp_path / "other" / "trigger-nightly.md").read_text()
    (folder / "trigger-nightly.md").write_text(file)
    assert await trigger(m) == theirs
    assert (folder / "trigger-nightly.md").read_text() == file
    assert [event.type for event in await told_of_triggers(m)] == ["trigger.adopted"]


async def test_the_housekeepers_record_touches_no_file(m: Mycelium, folder: Path) -> None:
    await m.create_task("x")

    def files() -> dict[str, int]:
        looked = [*folder.iterdir(), *(folder / ".state").iterdir()]
        return {each.name: each.stat().st_mtime_ns for each in looked if not each.name.startswith("index.db")}

    before = files()
    house = Keeper(holder="one", since=NOW, at=NOW)
    await m.backend.commit(puts(house))
    beat = house.changed(at=NOW + timedelta(seconds=2))
    await m.backend.commit(puts(beat))
    assert files() == before
    async with opened(folder, "bob") as bob:
        assert await bob.backend.get(Keeper, [HOUSE]) == [beat]


async def test_a_persons_file_of_such_a_name_is_no_record(m: Mycelium, folder: Path) -> None:
    (folder / "keeper-house.md").write_text("Who cleans on Friday?")
    house = Keeper(since=NOW, at=NOW)
    assert await m.backend.get(Keeper, [HOUSE]) == [None]
    await m.backend.commit(puts(house))
    assert await m.backend.get(Keeper, [HOUSE]) == [house]
    assert (folder / "keeper-house.md").read_text() == "Who cleans on Friday?"


async def test_a_queue_that_is_set_by_hand_is_where_the_task_is_claimed_from(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    edit(task_file(folder, task.id), "version:", "capabilities: [gpu]\nversion:")
    (now,) = await m.backend.get(Task, [task.id])
    assert now is not None
    assert now.capabilities == ("gpu",)
    assert await m.claim_task() is None
    edit(task_file(folder, task.id), "capabilities: [gpu]\n", "")
    await m.get_task(task.id)
    assert (await claimed(m)).id == task.id


@pytest.mark.parametrize("section", ['Undo\n\n{"type": "y"}', "For Each\n\n[1, 2]", 'Workflow\n\n{"type": "y"}'])
async def test_a_task_by_hand_has_nothing_that_only_a_workflow_gives(m: Mycelium, folder: Path, section: str) -> None:
    task_file(folder, "own").write_text(f"---\ntype: x\n---\n## {section}\n")
    with pytest.raises(StoreDamaged, match="by hand"):
        await m.get_task("own")


@pytest.mark.parametrize("status", ["paused", "compensating"])
async def test_a_workflow_that_goes_on_is_only_ended_by_hand(m: Mycelium, folder: Path, status: str) -> None:
    await m.backend.commit(puts(Workflow.model_validate({"id": "w", "type": "w", "status": status, **AT})))
    file = folder / "workflow-w.md"
    edit(file, f"status: {status}", "status: running")
    with pytest.raises(StoreDamaged, match="cannot be made running by hand"):
        await m.get_workflow("w")
    edit(file, "status: running", "status: cancelled")
    assert (await m.get_workflow("w")).status == "cancelled"


async def test_a_running_workflow_is_not_paused_by_hand(m: Mycelium, folder: Path) -> None:
    workflow = await m.create_workflow("w", ["a"])
    edit(folder / f"workflow-{workflow.id}.md", "status: running", "status: paused")
    with pytest.raises(StoreDamaged, match="cannot be made paused by hand"):
        await m.get_workflow(workflow.id)


async def test_who_keeps_house_learns_of_a_trigger_of_another_copy(m: Mycelium, folder: Path, tmp_path: Path) -> None:
    firing = Firing(m.backend)
    cursor, _ = await firing.for_events(0)
    async with opened(tmp_path / "other") as other:
        await other.backend.commit(puts(ticking(when={"event": {"channel": "files"}}, next_at=None)))
        file = (tmp_path / "other" / "trigger-nightly.md").read_text()
    (folder / "trigger-nightly.md").write_text(file)
    await trigger(m)
    await m.publish_event("files")
    _, fired = await firing.for_events(cursor)
    assert fired == 1
