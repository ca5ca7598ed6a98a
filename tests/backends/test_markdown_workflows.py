"""A workflow whose tasks' files are broken or away has no outcome until they are mended, or known to have ended."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from mycelium import Mycelium
from mycelium.errors import NotFound, StoreDamaged
from tests.backends.markdown_folder import edit, opened, task_file
from tests.support.store import claimed, done, failed, log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "team"


@pytest.fixture
async def m(folder: Path) -> AsyncGenerator[Mycelium]:
    async with opened(folder) as m:
        yield m


async def remove(m: Mycelium, folder: Path, task_id: str) -> None:
    task_file(folder, task_id).unlink()
    with pytest.raises(NotFound):
        await m.get_task(task_id)


async def test_a_broken_task_keeps_its_workflow_open_until_it_is_mended_and_done(m: Mycelium, folder: Path) -> None:
    workflow = await m.create_workflow("w", ["a", "b"], mode="parallel")
    a, b = workflow.tasks
    edit(task_file(folder, b), "status: pending", "status: ???")
    with pytest.raises(StoreDamaged):
        await m.get_task(b)
    await done(m, a)
    (event,) = [event for event in await log(m) if event.type.startswith("workflow.")]
    assert event.type == "workflow.created"
    edit(task_file(folder, b), "status: ???", "status: pending")
    assert (await m.get_task(b)).status == "pending"
    await done(m, b)
    assert (await m.get_workflow(workflow.id)).status == "completed"


async def test_a_task_that_comes_broken_keeps_its_workflow_open(folder: Path) -> None:
    async with opened(folder) as m:
        workflow = await m.create_workflow("w", ["a", "b"], mode="parallel")
    a, b = workflow.tasks
    text = task_file(folder, b).read_text()
    for index in folder.glob(".state/index.db*"):
        index.unlink()
    task_file(folder, b).write_text(text.replace("status: pending", "status: ???"))
    async with opened(folder) as m:
        await done(m, a)
        assert (await m.get_workflow(workflow.id)).status == "running"
        task_file(folder, b).write_text(text.replace("status: pending", "status: completed"))
        assert (await m.get_task(b)).status == "completed"
        assert (await m.get_workflow(workflow.id)).status == "completed"


async def test_a_task_whose_file_is_away_keeps_its_workflow_open(m: Mycelium, folder: Path) -> None:
    workflow = await m.create_workflow("w", ["a", "b"], mode="parallel")
    a, b = workflow.tasks
    text = task_file(folder, b).read_text()
    await remove(m, folder, b)
    await done(m, a)
    assert (await m.get_workflow(workflow.id)).status == "running"
    task_file(folder, b).write_text(text)
    await done(m, b)
    assert (await m.get_workflow(workflow.id)).status == "completed"


@pytest.mark.parametrize("how", ["broken", "removed"])
async def test_a_task_that_had_ended_counts_as_it_ended(m: Mycelium, folder: Path, how: str) -> None:
    workflow = await m.create_workflow("w", ["a", "b"], mode="parallel")
    a, b = workflow.tasks
    await failed(m, b)
    if how == "broken":
        edit(task_file(folder, b), "status: failed", "status: ???")
        with pytest.raises(StoreDamaged):
            await m.get_task(b)
    else:
        await remove(m, folder, b)
    await done(m, a)
    assert (await m.get_workflow(workflow.id)).status == "failed"


async def test_workflows_are_listed_though_files_of_their_tasks_are_broken(m: Mycelium, folder: Path) -> None:
    workflow = await m.create_workflow("w", ["a", "b", "c"], mode="parallel")
    alone = await m.create_workflow("alone", ["a"])
    a, b, c = workflow.tasks
    await done(m, a)
    for key in (b, *alone.tasks):
        edit(task_file(folder, key), "status: pending", "status: ???")
        with pytest.raises(StoreDamaged):
            await m.get_task(key)
    assert [(each.id, each.progress) for each in (await m.list_workflows()).records] == [
        (alone.id, 0),
        (workflow.id, 0.5),
    ]
    await claimed(m, c)
    assert (await m.get_workflow(workflow.id)).current_task == c
