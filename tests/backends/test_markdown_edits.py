"""What a person does to a file is taken up as if a tool had done it, with its event."""

import os
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.errors import NotFound, StoreDamaged
from tests.backends.markdown_folder import SEED_TASK, edit, opened, task_file
from tests.support.store import PATIENCE, claimed, done, told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "team"


@pytest.fixture
async def m(folder: Path) -> AsyncGenerator[Mycelium]:
    async with opened(folder) as m:
        yield m


async def test_a_status_set_to_completed_unblocks_what_waits(m: Mycelium, folder: Path) -> None:
    first = await m.create_task("prepare")
    second = await m.create_task("train", depends_on=[first.id])
    edit(task_file(folder, first.id), "status: pending", "status: completed")
    assert (await m.get_task(first.id)).status == "completed"
    assert not (await m.get_task(second.id)).blocked
    assert await told(m, first.id) == ["task.created", "task.started", "task.completed"]
    assert await told(m, second.id) == ["task.created", "task.ready"]
    text = task_file(folder, second.id).read_text()
    assert f"- {first.id} (prepare) - COMPLETED ✅" in text
    assert "**Status**: completed" in task_file(folder, first.id).read_text()


async def test_a_hand_set_result_and_error_come_with_the_outcome(m: Mycelium, folder: Path) -> None:
    good, bad = await m.create_task("x"), await m.create_task("x")
    edit(task_file(folder, good.id), "status: pending", "status: completed")
    edit(task_file(folder, good.id), "_Not started._", '{"loss": 0.5}\n')
    edit(task_file(folder, bad.id), "status: pending", "status: failed")
    edit(task_file(folder, bad.id), "_Not started._", '_No._\n\n## Error\n\n{"error": "no disk"}\n')
    assert (await m.get_task(good.id)).result == {"loss": 0.5}
    assert (await m.get_task(bad.id)).error == {"error": "no disk"}
    assert (await told(m, bad.id))[-1] == "task.failed"


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("running", ["task.started"]),
        ("failed", ["task.started", "task.failed"]),
        ("cancelled", ["task.cancelled"]),
    ],
)
async def test_each_status_goes_the_way_of_a_tool(m: Mycelium, folder: Path, status: str, events: list[str]) -> None:
    task = await m.create_task("x", assigned_to="grace")
    edit(task_file(folder, task.id), "status: pending", f"status: {status}")
    now = await m.get_task(task.id)
    assert now.status == status
    assert await told(m, task.id) == ["task.created", *events]
    assert now.agent == ("grace" if status == "running" else None)


async def test_a_running_task_can_be_given_back_by_hand(m: Mycelium, folder: Path) -> None:
    task = await claimed(m, (await m.create_task("x")).id)
    edit(task_file(folder, task.id), "status: running", "status: pending")
    assert (await m.get_task(task.id)).lease is None
    assert (await told(m, task.id))[-1] == "task.released"
    assert (await claimed(m)).id == task.id


async def test_ticked_boxes_are_progress(m: Mycelium, folder: Path) -> None:
    task = await claimed(m, (await m.create_task("x")).id)
    file = task_file(folder, task.id)
    edit(file, "- [ ] Work (0 %)", "- [x] read\n- [ ] write\n- [ ] check\n- [ ] send")
    assert (await m.get_task(task.id)).progress == 0.25
    edit(file, "- [ ] write", "- [X] write")
    assert (await m.get_task(task.id)).progress == 0.5
    assert (await told(m, task.id))[-2:] == ["task.progress", "task.progress"]
    await m.update_task(task.id, progress=0.9)
    assert (await m.get_task(task.id)).progress == 0.9, "what a tool says counts until a box is ticked again"
    assert "- [X] write" in file.read_text()


async def test_payload_title_and_priority_can_be_changed(m: Mycelium, folder: Path) -> None:
    low, high = await m.create_task("x", payload={"n": 1}), await m.create_task("x")
    file = task_file(folder, high.id)
    edit(file, "version: 1", 'version: 1\npriority: critical\ntitle: "Do me: first"')
    edit(file, "{}", '{\n  "n": [1, 2.0, null]\n}')
    now = await m.get_task(high.id)
    assert (now.title, now.priority, now.payload) == ("Do me: first", "critical", {"n": [1, 2.0, None]})
    assert (await claimed(m)).id == high.id, "the claim follows the new priority"
    assert (await told(m, high.id))[1] == "task.edited"
    assert [found.id for found in (await m.list_tasks(search="do me")).records] == [high.id]
    assert (await m.get_task(low.id)).version == 1


async def test_a_minimal_new_file_is_a_new_task(m: Mycelium, folder: Path) -> None:
    task_file(folder, "water-plants").write_text("---\ntype: chore\n---\nOn the balcony, too.\n")
    task = await m.get_task("water-plants")
    assert (task.type, task.status, task.version) == ("chore", "pending", 1)
    assert await told(m, "water-plants") == ["task.created"]
    text = task_file(folder, "water-plants").read_text()
    assert "On the balcony, too." in text
    assert "# Task: chore" in text
    assert "version: 1" in text
    assert (await claimed(m)).id == "water-plants"


async def test_the_example_of_the_format_is_taken_up_once_what_it_waits_for_is_there(m: Mycelium, folder: Path) -> None:
    (folder / "task-task-123.md").write_text(SEED_TASK)
    with pytest.raises(StoreDamaged, match="task-122"):
        await m.get_task("task-123")
    (folder / "task-122.md").write_text("---\nid: task-122\ntype: prepare-dataset\nstatus: completed\n---\n")
    assert (await m.get_task("task-122")).status == "completed"
    edit(folder / "task-task-123.md", "_In progress..._", "_Still going..._")
    task = await m.get_task("task-123")
    assert (task.status, task.agent, task.progress) == ("running", "ai-engineer", 0.4)
    assert task.payload == {"dataset": "alice-voice", "config": "configs/lora.yaml", "epochs": 3}
    assert task.depends_on == ("task-122",)
    assert await told(m, "task-123") == ["task.created", "task.started"]


async def test_new_files_may_wait_on_each_other_in_any_order(m: Mycelium, folder: Path) -> None:
    task_file(folder, "a").write_text("---\ntype: x\n---\n## Dependencies\n\n- b\n")
    task_file(folder, "b").write_text("---\ntype: x\n---\n## Dependencies\n\n- c\n")
    task_file(folder, "c").write_text("---\ntype: x\n---\n")
    async with opened(folder, "grace") as other:
        assert [(await other.get_task(key)).blocked for key in "abc"] == [True, True, False]
        await done(other, "c")
        assert not (await other.get_task("b")).blocked


async def test_agents_and_workflows_can_be_edited(m: Mycelium, folder: Path) -> None:
    await m.store_agent_status("ada", "busy")
    workflow = await m.create_workflow("train", ["a", "b"])
    edit(folder / "agent-ada.md", "status: busy", "status: error")
    assert [agent.status for agent in (await m.list_agents()).records] == ["busy"], "a listing does not look at files"
    agent = await m.get_agent_status("ada")
    assert agent is not None
    assert agent.status == "error"
    edit(folder / f"workflow-{workflow.id}.md", "status: running", "status: cancelled")
    assert (await m.get_workflow(workflow.id)).status == "cancelled"
    assert {task.status for task in (await m.list_tasks()).records} == {"cancelled"}


async def test_an_edit_is_taken_up_without_anybody_asking(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                page = await m.read_events(["tasks:events"], after=start, wait_seconds=60)
                assert [event.type for event in page.events] == ["task.cancelled"]
                group.cancel_scope.cancel()

            start = await m.last_seq()
            group.start_soon(wait)
            edit(task_file(folder, task.id), "status: pending", "status: cancelled")


async def test_edits_made_while_nobody_had_it_open_are_taken_up_at_the_opening(folder: Path) -> None:
    async with opened(folder) as m:
        kept, gone = await m.create_task("x"), await m.create_task("x")
    edit(task_file(folder, kept.id), "status: pending", "status: cancelled")
    task_file(folder, gone.id).unlink()
    async with opened(folder) as m:
        assert [(task.id, task.status) for task in (await m.list_tasks()).records] == [(kept.id, "cancelled")]
        with pytest.raises(NotFound):
            await m.get_task(gone.id)
        assert (await told(m, gone.id))[-1] == "task.removed"


async def test_what_was_opened_before_a_change_and_is_saved_after_it_keeps_both(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    in_the_editor = task_file(folder, task.id).read_text()
    held = await claimed(m, task.id)
    task_file(folder, task.id).write_text(in_the_editor.replace("{}", '{"from": "editor"}'))
    now = await m.get_task(task.id)
    assert (now.status, now.token, now.payload) == ("running", held.token, {"from": "editor"})
    assert (await m.complete_task(task.id)).status == "completed"


async def test_a_note_saved_over_a_newer_version_undoes_nothing(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    in_the_editor = task_file(folder, task.id).read_text()
    await done(m, task.id)
    task_file(folder, task.id).write_text(in_the_editor.replace("## Payload", "A note.\n\n## Payload"))
    assert (await m.get_task(task.id)).status == "completed"
    text = task_file(folder, task.id).read_text()
    assert "status: completed" in text
    assert "A note." in text


async def test_a_file_put_back_as_it_was_brings_that_state_back(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    earlier = task_file(folder, task.id).read_text()
    await done(m, task.id)
    task_file(folder, task.id).write_text(earlier)
    assert await m.get_task(task.id) == task
    assert (await told(m, task.id))[-1] == "task.adopted"
    assert (await claimed(m)).id == task.id


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("status: pending", "status: finished", "status"),
        ("status: pending", "status: skipped", "skipped"),
        ("id: ", "id: other-", "name"),
        ("version: 1", "version: 1\nattempt: 7", "attempt"),
        ("version: 1", "version: 1\npriority: urgent", "priority"),
        ("version: 1", "version: one", "version"),
    ],
)
async def test_an_edit_that_cannot_be_is_named_and_left_while_the_rest_goes_on(
    m: Mycelium, folder: Path, old: str, new: str, why: str
) -> None:
    task, other = await m.create_task("x"), await m.create_task("x")
    file = task_file(folder, task.id)
    edit(file, old, new)
    broken = file.read_bytes()
    with pytest.raises(StoreDamaged, match=why) as refused:
        await m.get_task(task.id)
    assert file.name in str(refused.value)
    assert (await claimed(m)).id == other.id
    assert await m.claim_task() is None
    assert [found.id for found in (await m.list_tasks()).records] == [other.id]
    assert file.read_bytes() == broken
    edit(file, new, old)
    assert (await m.get_task(task.id)).version == 1
    assert (await claimed(m)).id == task.id
    assert await told(m, task.id) == ["task.created", "task.started"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('\n{\n  "k": [', '\n  "k": [', "no JSON object"),
        ("\n{\n", "\n[1, 2]\n", "no JSON object|behind"),
        ("## Payload", "### Payload", "## Payload"),
        ("## Payload", "## Paylaod", "## Payload"),
        ("## Dependencies", "```\nan open fence\n\n## Dependencies", "does not end"),
        ("## Dependencies", "~~~~\nan open fence\n~~~\n```\n\n## Dependencies", "does not end"),
        ("_Not started._", "All is well.", "no JSON object"),
    ],
)
async def test_a_payload_that_an_edit_broke_is_not_taken_for_none(
    m: Mycelium, folder: Path, old: str, new: str, why: str
) -> None:
    task = await m.create_task("x", payload={"k": [{"l": 1}, {"m": 2}]})
    file = task_file(folder, task.id)
    edit(file, old, new)
    broken = file.read_text()
    with pytest.raises(StoreDamaged, match=why):
        await m.get_task(task.id)
    assert file.read_text() == broken
    edit(file, new, old)
    assert (await m.get_task(task.id)).payload == {"k": [{"l": 1}, {"m": 2}]}


async def test_a_payload_may_be_indented_and_fenced(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x", payload={"k": 1})
    file = task_file(folder, task.id)
    edit(file, '{\n  "k": 1\n}', '```json\n  {\n"k": 2\n  }\n```\nwith ````inline```` code')
    assert (await m.get_task(task.id)).payload == {"k": 2}
    await m.cancel_task(task.id)
    text = file.read_text()
    assert text.count("## Payload") == 1
    assert '```json\n  {\n"k": 2\n  }\n```\n' in text
    assert (await m.get_task(task.id)).status == "cancelled"


async def test_metadata_that_an_edit_broke_is_not_taken_for_none(m: Mycelium, folder: Path) -> None:
    await m.store_agent_status("ada", "busy", metadata={"k": 1})
    edit(folder / "agent-ada.md", "## Metadata", "# Metadata")
    with pytest.raises(StoreDamaged, match="## Metadata"):
        await m.get_agent_status("ada")


async def test_a_small_file_can_be_saved_again_from_the_same_editor(m: Mycelium, folder: Path) -> None:
    file = task_file(folder, "a")
    file.write_text('---\ntype: x\n---\nnote one\n\n## Payload\n\n{"k": 1}\n')
    before = await m.get_task("a")
    file.write_text("---\ntype: x\n---\nnote one\nnote two\n")
    assert await m.get_task("a") == before
    text = file.read_text()
    assert "note two" in text
    assert '"k": 1' in text
    assert "version: 1" in text
    held = await claimed(m, "a")
    file.write_text("---\ntype: y\n---\nnote three\n")
    now = await m.get_task("a")
    assert (now.type, now.status, now.token, now.payload) == ("y", "running", held.token, {"k": 1})
    assert "task.edited" in await told(m, "a")


async def test_a_file_that_is_saved_by_renaming_is_never_gone(m: Mycelium, folder: Path) -> None:
    task = await claimed(m, (await m.create_task("x")).id)
    file = task_file(folder, task.id)
    text = file.read_text()
    file.rename(file.with_name(f"{file.name}~"))
    saving = threading.Timer(0.03, file.write_text, [text.replace("## Progress", "A note.\n\n## Progress")])
    saving.start()
    assert (await m.update_task(task.id, progress=0.5)).progress == 0.5
    saving.join()
    assert (await m.complete_task(task.id)).status == "completed"
    assert "task.removed" not in await told(m, task.id)
    assert "A note." in file.read_text()


async def test_new_files_that_wait_in_a_circle_are_told_so(m: Mycelium, folder: Path) -> None:
    def write(key: str, wait: str) -> None:
        task_file(folder, key).write_text(f"---\ntype: x\n---\n## Dependencies\n\n- {wait}\n")

    for key, wait in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "e")):
        write(key, wait)
    async with opened(folder, "grace") as other:
        for key in "abc":
            with pytest.raises(StoreDamaged, match=r"cycle: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)"):
                await other.get_task(key)
        with pytest.raises(StoreDamaged, match=r"Unknown dependencies: .*a"):
            await other.get_task("d")
        with pytest.raises(StoreDamaged, match="cycle: e -> e"):
            await other.get_task("e")
        task_file(folder, "c").write_text("---\ntype: x\n---\n")
        assert not (await other.get_task("c")).blocked
        assert (await other.get_task("b")).blocked
        assert (await other.get_task("d")).blocked


async def test_lines_stay_ended_as_a_windows_editor_ends_them(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    file = task_file(folder, task.id)
    file.write_bytes((file.read_text() + "mine\n").replace("\n", "\r\n").encode())
    await m.cancel_task(task.id)
    data = file.read_bytes()
    assert b"status: cancelled\r\n" in data
    assert b"mine\r\n" in data
    assert data.count(b"\r\n") == data.count(b"\n")
    assert (await m.get_task(task.id)).status == "cancelled"


@pytest.mark.parametrize("text", ["\ufeff---\ntype: y\n---\n", "--- \ntype: y\n---\t\n", "---\r\ntype: y\r\n---"])
async def test_what_editors_leave_around_front_matter_does_no_harm(m: Mycelium, folder: Path, text: str) -> None:
    task_file(folder, "a").write_bytes(text.encode())
    assert (await m.get_task("a")).type == "y"


@pytest.mark.parametrize("said", ["2025-10-17", "2025-10-17T09:30:00"])
async def test_a_time_without_a_zone_is_told_how_to_be_written(m: Mycelium, folder: Path, said: str) -> None:
    task_file(folder, "a").write_text(f"---\ntype: x\ncreated: {said}\n---\n")
    with pytest.raises(StoreDamaged, match="2030-01-31T09:30:00Z"):
        await m.get_task("a")


async def test_an_edit_in_place_that_keeps_size_and_time_is_not_overwritten(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("before")
    file = task_file(folder, task.id)
    seen = file.stat()
    with file.open("r+b") as opened_file:
        text = opened_file.read().replace(b"type: before", b"type: behind")
        opened_file.seek(0)
        opened_file.write(text)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    await m.cancel_task(task.id)
    now = await m.get_task(task.id)
    assert (now.type, now.status) == ("behind", "cancelled")


async def test_a_finished_task_stays_finished(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    await done(m, task.id)
    edit(task_file(folder, task.id), "status: completed", "status: pending")
    with pytest.raises(StoreDamaged, match="already completed"):
        await m.get_task(task.id)


async def test_a_broken_dependent_is_released_when_it_is_mended(m: Mycelium, folder: Path) -> None:
    first = await m.create_task("x")
    second = await m.create_task("x", depends_on=[first.id])
    file = task_file(folder, second.id)
    edit(file, "status: pending", "status: ???")
    with pytest.raises(StoreDamaged):
        await m.get_task(second.id)
    await done(m, first.id)
    edit(file, "status: ???", "status: pending")
    assert not (await m.get_task(second.id)).blocked


async def test_what_needs_a_broken_file_says_so_in_one_sentence(m: Mycelium, folder: Path) -> None:
    for key, first in ("c2", "nothing-such"), ("c3", "c2"), ("c4", "c3"):
        task_file(folder, key).write_text(f"---\ntype: x\n---\n## Dependencies\n\n- {first}\n")
        with pytest.raises(StoreDamaged) as refused:
            await m.get_task(key)
    assert refused.value.message == (
        f"The file {task_file(folder, 'c4')} cannot be used: it needs task-c3.md, which cannot be used either. "
        "It was left as it is."
    )
