"""Files that say one id: one holds the record, the other is named and left alone, in whatever order they came."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mycelium.errors import StoreDamaged
from mycelium.models import Task
from mycelium.place import place_at
from mycelium_backends.markdown import forms
from tests.backends.markdown_folder import edit, opened
from tests.support.store import claimed

SHORT, LONG = "task-5.md", "task-task-5.md"
MADE = datetime(2025, 10, 17, tzinfo=UTC)
TYPES = {SHORT: "q", LONG: "w"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "team"
    folder.mkdir()
    return folder


def failed(folder: Path) -> list[str]:
    place = place_at(f"markdown:{folder}")
    assert place is not None
    return [finding.says for finding in place.examine() if finding.level == "fail"]


def by_hand(folder: Path) -> None:
    """Two small files, as people write them."""
    for name, type in TYPES.items():
        (folder / name).write_text(f"---\nid: task-5\ntype: {type}\n---\n")


def by_git(folder: Path) -> None:
    """Two whole files, as other copies of the store wrote them."""
    for name, type in TYPES.items():
        (folder / name).write_text(forms.write(Task(id="task-5", type=type, created_at=MADE, updated_at=MADE), {}))


@pytest.mark.parametrize("write", [by_hand, by_git])
@pytest.mark.parametrize("there", ["before the opening", "at a question"])
async def test_of_two_new_files_with_one_id_the_first_by_name_stays(
    folder: Path, write: Callable[[Path], None], there: str
) -> None:
    if there == "before the opening":
        write(folder)
    async with opened(folder) as m:
        if there == "at a question":
            write(folder)
        second = (folder / LONG).read_text()
        assert (await claimed(m, "task-5")).type == "q"
        assert "type: q" in (folder / SHORT).read_text()
        assert (folder / LONG).read_text() == second
        (fault,) = failed(folder)
        assert f"{LONG}: {SHORT} holds task task-5 already" in fault
        (folder / SHORT).unlink()
        assert (await m.get_task("task-5")).type == "w"
        assert failed(folder) == []


async def test_a_broken_file_keeps_its_id(folder: Path) -> None:
    (folder / LONG).write_text("---\nid: task-5\ntype: w\n---\n")
    async with opened(folder) as m:
        await m.get_task("task-5")
        edit(folder / LONG, "status: pending", "status: ???")
        (folder / SHORT).write_text("---\nid: task-5\ntype: q\n---\n")
    async with opened(folder) as m:
        assert len(failed(folder)) == 2
        edit(folder / LONG, "status: ???", "status: !!!")
    async with opened(folder) as m:
        edit(folder / LONG, "status: !!!", "status: pending")
        assert (await m.get_task("task-5")).type == "w"
        assert (folder / SHORT).read_text() == "---\nid: task-5\ntype: q\n---\n"


async def test_a_file_that_is_left_alone_is_told_of_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(folder) as m:
        for number, dependency in enumerate(("nowhere", "elsewhere")):
            (folder / "task-bad.md").write_text(f"---\ntype: x\n---\n## Dependencies\n\n- {dependency}\n")
            for other in range(3):
                (folder / f"task-good-{number}{other}.md").write_text("---\ntype: x\n---\n")
                await m.get_task(f"good-{number}{other}")
            with pytest.raises(StoreDamaged):
                await m.get_task("bad")
    told = [record.getMessage() for record in caplog.records if "task-bad.md is left alone" in record.getMessage()]
    assert ["nowhere" in each for each in told] == [True, False]
