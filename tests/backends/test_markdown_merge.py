"""Two branches of one folder, merged by git: everything of both is there, once, and what follows is drawn."""

import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from mycelium import Mycelium
from mycelium.errors import StoreDamaged
from tests.backends.markdown_folder import edit, opened, task_file
from tests.support.store import claimed, done, log, status, told

GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")


def git(repository: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=repository, capture_output=True, text=True, timeout=30, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(repository: Path) -> None:
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "work")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "team"


async def test_nothing_that_is_made_anew_is_committed(repository: Path, folder: Path) -> None:
    async with opened(folder) as m:
        task = await m.create_task("x")
        git(repository, "add", "-A")
        names = git(repository, "ls-files").split()
    assert names == [f"team/{name}" for name in (".gitattributes", ".gitignore", "events.md", f"task-{task.id}.md")]


async def test_two_branches_that_both_added_tasks_merge(repository: Path, folder: Path) -> None:
    async with opened(folder) as m:
        base = await m.create_task("base")
        both = await m.create_task("both")
    commit(repository)
    git(repository, "checkout", "-qb", "other")
    async with opened(folder) as m:
        theirs = await m.create_task("theirs")
        await done(m, base.id)
        their_log = [event.id for event in await log(m)]
    commit(repository)
    git(repository, "checkout", "-q", "main")
    async with opened(folder) as m:
        assert await status(m, base.id) == "ready", "a branch has its own state"
        mine = await m.create_task("mine", depends_on=[base.id])
        my_log = [event.id for event in await log(m)]
    commit(repository)
    git(repository, "merge", "-q", "other", "-m", "merge")
    async with opened(folder) as m:
        assert {task.id for task in (await m.list_tasks()).records} == {base.id, both.id, theirs.id, mine.id}
        assert await status(m, base.id) == "completed"
        assert await status(m, mine.id) == "ready", "what waited here on what was done there can go on"
        events = await log(m)
        assert {event.id for event in events} >= {*their_log, *my_log}
        assert len({event.id for event in events}) == len(events)
        assert [event.seq for event in events] == sorted({event.seq for event in events})
        assert (await told(m, base.id)).count("task.completed") == 1, "it is told once, by the log that was merged"
        assert (await m.publish_event("c")).seq == events[-1].seq + 1


async def test_a_merge_while_agents_work_is_taken_up(repository: Path, folder: Path) -> None:
    async with opened(folder) as m:
        await m.create_task("base")
        commit(repository)
        git(repository, "checkout", "-qb", "other")
        theirs = await m.create_task("theirs")
        commit(repository)
        git(repository, "checkout", "-q", "main")
        mine = await m.create_task("mine")
        commit(repository)
        git(repository, "merge", "-q", "other", "-m", "merge")
        assert (await m.get_task(theirs.id)).type == "theirs"
        assert (await m.get_task(mine.id)).type == "mine"
        assert {(await claimed(m)).type for _ in range(3)} == {"base", "mine", "theirs"}


async def test_a_file_with_conflict_markers_is_named_until_it_is_resolved(repository: Path, folder: Path) -> None:
    async with opened(folder) as m:
        task, other = await m.create_task("x"), await m.create_task("y")
    commit(repository)
    git(repository, "checkout", "-qb", "other")
    edit(task_file(folder, task.id), "{}", '{"by": "them"}')
    commit(repository)
    git(repository, "checkout", "-q", "main")
    edit(task_file(folder, task.id), "{}", '{"by": "me"}')
    commit(repository)
    git(repository, "merge", "-q", "other", check=False)
    broken = task_file(folder, task.id).read_bytes()
    assert b"<<<<<<<" in broken
    async with opened(folder) as m:
        with pytest.raises(StoreDamaged, match="conflict markers"):
            await m.get_task(task.id)
        assert (await claimed(m)).id == other.id
        assert task_file(folder, task.id).read_bytes() == broken
        git(repository, "checkout", "--theirs", str(task_file(folder, task.id)))
        assert (await m.get_task(task.id)).payload == {"by": "them"}


async def test_a_log_with_conflict_markers_is_read_on_both_sides(repository: Path, folder: Path) -> None:
    async with opened(folder) as m:
        await m.publish_event("c", {"by": "nobody"})
    (folder / ".gitattributes").unlink()
    commit(repository)
    git(repository, "checkout", "-qb", "other")
    async with opened(folder) as m:
        await m.publish_event("c", {"by": "them"})
    (folder / ".gitattributes").unlink()
    commit(repository)
    git(repository, "checkout", "-q", "main")
    async with opened(folder) as m:
        await m.publish_event("c", {"by": "me"})
    (folder / ".gitattributes").unlink()
    commit(repository)
    git(repository, "merge", "-q", "other", check=False)
    assert ">>>>>>>" in (folder / "events.md").read_text()
    async with opened(folder) as m:
        assert {str(event.data["by"]) for event in await log(m)} == {"nobody", "me", "them"}


@pytest.fixture
async def m(folder: Path) -> AsyncGenerator[Mycelium]:
    async with opened(folder) as m:
        yield m


async def test_two_files_that_say_one_id_are_refused_by_name(m: Mycelium, folder: Path) -> None:
    task = await m.create_task("x")
    copy = folder / "task-copy.md"
    copy.write_text(task_file(folder, task.id).read_text())
    with pytest.raises(StoreDamaged, match=r"task-copy\.md.*its name"):
        await m.get_task("copy")
    assert (await m.get_task(task.id)).id == task.id
    assert (await claimed(m)).id == task.id
