"""`kill -9` between any two file operations: a commit has happened or has not, and one that was acknowledged has."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.models import TASKS, WORKFLOWS, Lease, Task, Workflow
from mycelium.rules import Change, NewEvent, View
from mycelium_backends.markdown import open_backend
from tests.backends.markdown_crash import NOW
from tests.support.clock import FakeClock
from tests.support.store import snapshot

START = datetime(2030, 1, 1, tzinfo=UTC)


def story(_view: View) -> Change[None]:
    """A workflow with a task that is held, and one that waits on it."""
    lease = Lease(agent="ada", token=1, expires_at=datetime(2030, 1, 2, tzinfo=UTC), seconds=86400)
    held = Task(id="w.a", type="a", created_at=START, updated_at=START, workflow_id="w", status="running",
                token=1, attempt=1, lease=lease)  # fmt: skip
    waiting = Task(id="w.b", type="b", created_at=START, updated_at=START, workflow_id="w", blocked=True,
                   depends_on=("w.a",))  # fmt: skip
    workflow = Workflow(id="w", type="w", tasks=("w.a", "w.b"), created_at=START, updated_at=START)
    events = [
        NewEvent(WORKFLOWS, "workflow.created", "ada", {"workflow_id": "w"}),
        *(NewEvent(TASKS, "task.created", "ada", {"task_id": task.id}) for task in (held, waiting)),
    ]
    return Change(None, puts=(workflow, held, waiting), events=events)


async def state(folder: Path) -> list[str]:
    """Everything in a store, which is opened and closed for it."""
    clock = FakeClock(NOW)
    store = await open_backend(f"markdown:{folder}", clock)
    async with Mycelium.over(store, agent="ada", clock=clock, background=False) as m:
        found = await snapshot(m)
    await store.aclose()
    return found


async def told_by_files(folder: Path) -> list[str]:
    """What the files say without anything that was made from them."""
    shutil.rmtree(folder / ".state")
    return await state(folder)


async def prepared(place: Path) -> list[str]:
    """The store at rest that every process begins with."""
    store = await open_backend(f"markdown:{place}/template", FakeClock(START))
    await store.commit(story)
    await store.aclose()
    shutil.copytree(place / "template", place / "looked-at")
    return await state(place / "looked-at")


async def check(place: Path, before: list[str]) -> tuple[int, int]:
    """Look at every store that a killed process left. How many are as before, and how many as after."""
    numbers = sorted(int(each.name) for each in place.iterdir() if each.name.isdigit())
    assert len(numbers) > 10, "there were file operations to be killed between"
    shutil.copytree(place / str(numbers[-1]), place / "last")
    after = await state(place / "last")
    assert after != before
    folders = [each for each in place.iterdir() if each.name.replace("-", "").isdigit() and each.is_dir()]
    found: list[bool] = []
    for folder in folders:
        seen = await state(folder)
        assert seen in (before, after), f"{folder.name} is in between"
        assert seen == after or not folder.with_suffix(".acked").exists(), f"{folder.name} was acknowledged and is lost"
        assert await told_by_files(folder) == seen, f"the files of {folder.name} say something else than the store"
        assert not list(folder.glob(".state/new/*"))
        found.append(seen == after)
    return found.count(False), found.count(True)


@pytest.mark.parametrize("again", [0, pytest.param(1, marks=pytest.mark.soak)])
async def test_a_commit_is_whole_or_not_there_wherever_its_process_is_killed(tmp_path: Path, again: int) -> None:
    before = await prepared(tmp_path)
    command = [sys.executable, "-m", "tests.backends.markdown_crash", str(tmp_path), str(again)]
    with anyio.fail_after(600):
        await anyio.run_process(command, cwd=Path(__file__).parents[2])
    as_before, as_after = await check(tmp_path, before)
    assert as_before >= 3
    assert as_after >= 3
