"""What Mycelium keeps for itself in the folder that is worked in: nobody there sees or changes it."""

import os
import sys
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mycelium_workbench.hidden import folders_below
from tests.workbench.bench import serving, working
from tests.workbench.test_commands import WITHOUT_NAMESPACES

pytestmark = pytest.mark.anyio
walled = pytest.mark.usefixtures("namespaces")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

SECRET = "hunter2 = 1\n"
PLACES = (".mycelium", "sub/deep/.mycelium")
WAYS = (".mycelium", ".mycelium/new", ".mycelium/config.json", "./sub/../.mycelium/config.json", ".MyCelium/x",
        "sub/deep/.mycelium/config.json", "away/config.json", "way/new", "sub/.mycelium/x")  # fmt: skip


@pytest.fixture
def kept(root: Path) -> Path:
    """A project with one below it, and links to what is theirs."""
    for place in PLACES:
        (root / place).mkdir(parents=True)
        (root / place / "config.json").write_text(SECRET)
    (root / "away").symlink_to(".mycelium")
    (root / "way").symlink_to("sub/deep/.mycelium")
    return root


def state(root: Path) -> dict[str, str]:
    return {str(each): each.read_text() for place in PLACES for each in (root / place).rglob("*")}


@pytest.mark.parametrize("path", WAYS)
async def test_files_there_are_neither_read_nor_written(kept: Path, path: str) -> None:
    before = state(kept)
    async with working(kept) as bench:
        for way in (path, str(kept / path)):
            for tool, more in (("read_file", {}), ("write_file", {"content": "x"}), ("analyze_code", {})):
                assert (await bench.refused(tool, path=way, **more))["code"] == "protected", (tool, way)
        assert (await bench.refused("run_command", command="ls", cwd=path))["code"] == "protected"
    assert state(kept) == before


async def test_search_passes_them_over(kept: Path) -> None:
    (kept / "open.py").write_text(SECRET)
    async with serving(kept) as bench:
        for glob in ("**/*", ".mycelium/*", "**/config.json"):
            found = await bench.ask("search_files", pattern="hunter", glob=glob)
            assert {each["path"] for each in found["matches"]} <= {"open.py"}


ATTACKS = (
    "cat .mycelium/* sub/deep/.mycelium/* away/* way/*",
    "echo x > .mycelium/config.json",
    "echo x > sub/deep/.mycelium/new",
    "rm -rf .mycelium",
    "rm -rf sub",
    "mv .mycelium other",
    "mv sub other",
    "mv sub/deep other",
    "ln -sfn /tmp .mycelium",
    "ln .mycelium/config.json other",
    "chmod 777 .mycelium",
    "umount .mycelium",
)


@walled
@linux_only
async def test_commands_find_them_empty_and_cannot_change_them(kept: Path) -> None:
    before = state(kept)
    async with serving(kept) as bench:
        assert await bench.shell("ls -A .mycelium sub/deep/.mycelium; echo x > sub/deep/free") == (
            ".mycelium:\n\nsub/deep/.mycelium:\n"
        )
        for attack in ATTACKS:
            said = await bench.ask("run_command", command=attack)
            assert said["exit_code"] != 0, attack
            assert "hunter" not in said["output"]
    assert state(kept) == before


@walled
@linux_only
async def test_those_made_after_the_start_are_hidden_too(root: Path) -> None:
    (root / "sub").mkdir()
    async with serving(root) as bench:
        assert await bench.shell("echo x > free; ls") == "free\nsub\n"
        for place in (root / ".mycelium", root / "sub/.mycelium"):
            place.mkdir()
            (place / "config.json").write_text(SECRET)
        assert "hunter" not in await bench.shell("cat .mycelium/* sub/.mycelium/*")
        await bench.shell("rm -rf .mycelium sub")
    assert (root / "sub/.mycelium/config.json").read_text() == SECRET
    assert (root / ".mycelium/config.json").read_text() == SECRET


EVIL = "mkdir .mycelium && echo evil > .mycelium/config.json; echo done"


@walled
async def test_one_that_a_command_makes_is_set_aside(root: Path) -> None:
    async with serving(root) as bench:
        error = await bench.refused("run_command", command=EVIL)
    assert (error["code"], error["output"]) == ("protected", "done\n")
    (name,) = os.listdir(root)
    assert name in error["message"]
    assert name.startswith("mycelium-set-aside-")


PATIENCE = 60.0
FIRST = "mkdir .mycelium; echo {} > .mycelium/config.json; until [ -e second ]; do sleep 0.02; done"
SECOND = "touch second; until ls -d mycelium-set-aside-*; do sleep 0.02; done; " + EVIL


@walled
@linux_only
async def test_another_that_a_second_command_makes_meanwhile_is_set_aside_as_well(root: Path) -> None:
    async with serving(root) as bench, anyio.create_task_group() as commands:
        commands.start_soon(partial(bench.refused, "run_command", command=FIRST))
        with anyio.fail_after(PATIENCE):
            while not (root / ".mycelium/config.json").exists():
                await anyio.lowlevel.checkpoint()
        commands.start_soon(partial(bench.refused, "run_command", command=SECOND))
    assert sorted(name[:18] for name in os.listdir(root)) == ["mycelium-set-aside"] * 2 + ["second"]


@walled
async def test_a_link_that_a_command_makes_in_its_place_is_set_aside(root: Path) -> None:
    async with working(root) as bench:
        assert (await bench.refused("run_command", command="mkdir a; ln -s a .mycelium"))["code"] == "protected"
        assert "set-aside" in await bench.shell("ls")


@walled
@linux_only
async def test_a_store_that_somebody_begins_meanwhile_stays(root: Path) -> None:
    async with working(root) as bench:
        await bench.shell("mkdir .mycelium; touch .mycelium/mycelium.db")
        assert os.listdir(root / ".mycelium") == ["mycelium.db"]
        await bench.shell("echo evil > .mycelium/config.json")
    assert os.listdir(root / ".mycelium") == ["mycelium.db"]


@linux_only
@walled
async def test_one_made_without_walls_is_set_aside_too(root: Path) -> None:
    async with serving(root, "--unconfined", before=WITHOUT_NAMESPACES) as bench:
        assert (await bench.refused("run_command", command=EVIL))["code"] == "protected"
    assert not (root / ".mycelium").exists()


@walled
async def test_no_command_runs_where_a_link_stands_in_its_place(root: Path) -> None:
    (root / ".mycelium").symlink_to("/tmp")
    async with working(root) as bench:
        error = await bench.refused("run_command", command="true")
    assert error["code"] == "protected"
    assert "link" in error["message"]


@walled
@linux_only
async def test_what_is_named_is_hidden_with_what_lies_beside_it(root: Path) -> None:
    (root / "notes/team").mkdir(parents=True)
    places = ("team.db", "team.db-wal", "notes/team/a.md")
    for each in places:
        (root / each).write_text(SECRET)
    (root / "open.txt").write_text(SECRET)
    flags = ("--hide", str(root / "team.db"), "--hide", str(root / "notes/team"), "--hide", "/usr")
    async with serving(root, *flags) as bench:
        for each in (*places, "team.db-shm", "Team.DB"):
            assert (await bench.refused("write_file", path=each, content=""))["code"] == "protected"
            assert (await bench.refused("read_file", path=each))["code"] == "protected"
        found = await bench.ask("search_files", pattern="hunter")
        assert [each["path"] for each in found["matches"]] == ["open.txt"]
        said = await bench.shell(f"cat {' '.join(places)}; rm -rf {' '.join(places)} notes; echo x > team.db; ls /usr")
        assert "hunter" not in said
        assert "bin" in said
    assert {(root / each).read_text() for each in places} == {SECRET}


async def test_the_audit_may_lie_in_what_is_hidden(kept: Path) -> None:
    for file, flags in ((".mycelium/audit", ()), ("state/audit", ("--hide", str(kept / "state")))):
        (kept / "state").mkdir(exist_ok=True)
        async with serving(kept, *flags, audit=kept / file) as bench:
            await bench.ask("write_file", path="a", content="b")
            assert [each["outcome"] for each in bench.audited()] == ["began", "ok"]


def test_folders_are_found_by_name_upper_ones_first(kept: Path) -> None:
    (kept / "SUB2/.Mycelium").mkdir(parents=True)
    assert list(folders_below(str(kept))) == [str(kept / each) for each in (".mycelium", "SUB2/.Mycelium", PLACES[1])]
    assert list(folders_below(str(kept), most=1)) == [str(kept / ".mycelium")]
    assert list(folders_below(str(kept / "none"))) == []
