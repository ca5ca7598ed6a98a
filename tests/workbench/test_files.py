"""`read_file`, `write_file` and `search_files`, and every way out of the folder that they are asked to take."""

import os
import re
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mycelium_workbench import Limits, WorkbenchError
from mycelium_workbench.folder import Folder
from mycelium_workbench.searcher import glob_pattern
from tests.workbench.bench import Workbench, text_of, working

pytestmark = pytest.mark.anyio


async def test_what_is_written_is_read(bench: Workbench) -> None:
    assert await bench.ask("write_file", path="a/b/c.txt", content="one\n") == {"path": "a/b/c.txt", "bytes": 4}
    await bench.ask("write_file", path="a/b/c.txt", content="two\nthree", append=True)
    said = await bench.ask("read_file", path="a/b/c.txt")
    assert said == {"content": "one\ntwo\nthree", "lines": 3, "bytes": 13, "next_offset": None}
    part = await bench.ask("read_file", path=str(bench.root / "a/b/../b/c.txt"), offset=1, limit=1)
    assert (part["content"], part["next_offset"]) == ("two\n", 2)
    assert os.listdir(bench.root / "a/b") == ["c.txt"]  # nothing passing is left


async def test_reading_past_the_end_says_so(bench: Workbench) -> None:
    (bench.root / "a").write_text("one\ntwo\n")
    result = await bench.call("read_file", path="a", offset=2)
    assert "the file has 2 lines, and offset 2 is past its end" in text_of(result)
    (bench.root / "empty").touch()
    assert "past" not in text_of(await bench.call("read_file", path="empty"))


async def test_search_without_files_tells_of_globs(bench: Workbench) -> None:
    (bench.root / "deep").mkdir()
    (bench.root / "deep/a.py").write_text("found\n")
    assert "**/ goes through all" in text_of(await bench.call("search_files", pattern="found", glob="*.py"))
    assert "**/" not in text_of(await bench.call("search_files", pattern="lost", glob="**/*.py"))


async def test_appending_at_the_same_time_loses_nothing(bench: Workbench) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(lambda line=f"{number}\n": bench.ask("write_file", path="log", content=line, append=True))
    assert sorted(map(int, (bench.root / "log").read_text().split())) == list(range(30))


async def test_file_keeps_its_mode_and_other_links_their_content(bench: Workbench) -> None:
    file = bench.root / "run.sh"
    file.write_text("old")
    file.chmod(0o750)
    os.link(file, bench.root / "other")
    await bench.ask("write_file", path="run.sh", content="new")
    assert file.stat().st_mode & 0o777 == 0o750
    assert (bench.root / "other").read_text() == "old"


ESCAPES = [
    "..", "../beside", "deep/../../beside", "./.././beside", "/etc/passwd", "//etc/passwd",
    "/proc/self/root/etc/passwd",
    "out/passwd", "out", "up/beside", "away", "deep/out/passwd", "absolute", "chain", "deep//..//../beside",
]  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES)
async def test_nothing_leads_out(bench: Workbench, path: str) -> None:
    beside = bench.root.parent / "beside"
    beside.write_text("secret")
    (bench.root / "deep").mkdir()
    links = {
        "out": "/etc",
        "up": "..",
        "away": "../beside",
        "deep/out": "/etc",
        "absolute": "/etc/passwd",
        "chain": "up/beside",
    }
    for name, target in links.items():
        (bench.root / name).symlink_to(target)
    assert (await bench.refused("read_file", path=path))["code"] == "outside_root"
    assert (await bench.refused("write_file", path=path, content="x"))["code"] == "outside_root"
    assert beside.read_text() == "secret"


async def test_links_that_stay_inside_are_followed(bench: Workbench) -> None:
    (bench.root / "real").mkdir()
    (bench.root / "real/file").write_text("found")
    (bench.root / "near").symlink_to("real")
    (bench.root / "far").symlink_to(bench.root / "real")
    (bench.root / "real/back").symlink_to("../near/file")
    for path in ("near/file", "far/file", "real/back", "near/back"):
        assert (await bench.ask("read_file", path=path))["content"] == "found"
    await bench.ask("write_file", path="near/back", content="changed")
    assert (bench.root / "real/file").read_text() == "changed"
    assert (bench.root / "real/back").is_symlink()


async def test_odd_paths_are_refused_by_name(bench: Workbench) -> None:
    (bench.root / "circle").symlink_to("circle")
    (bench.root / "folder").mkdir()
    (bench.root / "file").write_text("x")
    os.mkfifo(bench.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bench.root / "s"))
        expected = {
            "": "invalid_input", "a\0b": "invalid_input", "n" * 300: "invalid_input", "d/" * 3000: "invalid_input",
            "\ud800": "invalid_input", "circle": "outside_root", "folder": "not_a_file", ".": "not_a_file",
            "pipe": "not_a_file", "s": "not_a_file", "file/x": "not_a_file",
        }  # fmt: skip
        for path, code in expected.items():
            assert (await bench.refused("write_file", path=path, content="x"))["code"] == code, path
            assert (await bench.refused("read_file", path=path))["code"] == code, path
    assert (await bench.refused("read_file", path="none"))["code"] == "not_found"
    assert (await bench.refused("write_file", path="new/", content="x"))["code"] == "not_a_file"


async def test_sizes_are_limited(root: Path) -> None:
    async with working(root, Limits(file_mb=1, output_kb=1)) as bench:
        (root / "big").write_bytes(b"x" * (1024 * 1024 + 1))
        assert (await bench.refused("read_file", path="big"))["code"] == "too_large"
        assert (await bench.refused("write_file", path="new", content="y" * (1024 * 1024 + 1)))["code"] == "too_large"
        await bench.ask("write_file", path="full", content="z" * 1024 * 1024)
        assert (await bench.refused("write_file", path="full", content="z", append=True))["code"] == "too_large"
        assert len((await bench.ask("read_file", path="full"))["content"]) < 1100
        (root / "binary").write_bytes(b"\xff\xfe\x00")
        assert (await bench.refused("read_file", path="binary"))["code"] == "not_text"


names = st.sampled_from(["a", "b", "out", "up", "loop", "..", ".", "", "file", "beside", "etc"])
paths = st.lists(names, min_size=1, max_size=8).map("/".join) | st.text(max_size=40)


@given(path=paths, write=st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_path_reaches_what_is_outside(path: str, write: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        (root / "a/b").mkdir(parents=True)
        Path(folder, "beside").write_text("secret")
        for name, target in (
            ("out", "/etc"),
            ("a/out", "../../beside"),
            ("up", ".."),
            ("a/up", ".."),
            ("loop", "a/up/loop"),
        ):
            (root / name).symlink_to(target)
        with Folder.open(root, 1000) as opened:
            try:
                if write:
                    opened.write_bytes(path, b"written")
                else:
                    assert opened.read_bytes(path) == b""
            except WorkbenchError:
                pass
        assert sorted(os.listdir(folder)) == ["beside", "root"]
        assert Path(folder, "beside").read_text() == "secret"


def test_folder_that_becomes_a_link_meanwhile_leads_nowhere(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    (root / "real").mkdir()
    (root / "real/file").write_text("mine")
    (root / "spare").symlink_to(outside)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for one, other in (("real", "held"), ("spare", "real"), ("real", "spare"), ("held", "real")):
                try:
                    os.rename(root / one, root / other)
                except OSError:  # a folder was made in between, to write into
                    shutil.rmtree(root / "real", ignore_errors=True)

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[bytes] = set()
    try:
        with Folder.open(root, 1000) as folder:
            for _ in range(1500):
                try:
                    seen.add(folder.read_bytes("real/file"))
                    folder.write_bytes("real/new", b"x")
                except WorkbenchError:
                    continue
    finally:
        over.set()
        thread.join()
    assert seen <= {b"mine"}
    assert os.listdir(outside) == ["file"]


async def test_search_finds_lines(bench: Workbench) -> None:
    (bench.root / "src/deep").mkdir(parents=True)
    (bench.root / "src/one.py").write_text("first\nsecond = 2\n")
    (bench.root / "src/deep/two.py").write_text("    second()\n")
    (bench.root / "notes.txt").write_text("second\n")
    (bench.root / "binary").write_bytes(b"second\0")
    (bench.root / ".git").mkdir()
    (bench.root / ".git/config").write_text("second\n")
    said = await bench.ask("search_files", pattern=r"\bsec\w+", glob="**/*.py")
    assert [(each["path"], each["line"], each["column"]) for each in said["matches"]] == [
        ("src/deep/two.py", 1, 5), ("src/one.py", 2, 1),
    ]  # fmt: skip
    assert (said["files_searched"], said["more"]) == (2, False)
    assert len((await bench.ask("search_files", pattern="second"))["matches"]) == 3
    cut = await bench.ask("search_files", pattern="second", limit=1)
    assert (len(cut["matches"]), cut["more"]) == (1, True)


@pytest.mark.skipif(sys.platform == "darwin", reason="its names are UTF-8")
async def test_search_finds_lines_in_files_of_any_name(bench: Workbench) -> None:
    folder = os.fsencode(bench.root)
    os.mkdir(folder + b"/\xff")
    for name in (b"/\xff/\xfe.txt", b"/plain"):
        with open(folder + name, "w") as file:
            file.write("found\n")
    said = await bench.ask("search_files", pattern="found")
    assert [each["path"] for each in said["matches"]] == ["plain", "\ufffd/\ufffd.txt"]


async def test_search_follows_no_links_and_waits_for_no_pipes(bench: Workbench) -> None:
    (bench.root.parent / "beside").write_text("secret")
    (bench.root / "up").symlink_to("..")
    (bench.root / "file").symlink_to("../beside")
    os.mkfifo(bench.root / "pipe")
    assert (await bench.ask("search_files", pattern="secret"))["matches"] == []
    assert (await bench.ask("search_files", pattern="secret", glob="../*"))["matches"] == []


async def test_search_that_takes_for_ever_is_ended(root: Path) -> None:
    async with working(root, Limits(search_seconds=3)) as bench:
        (root / "a").write_text("found aab\n")
        (root / "b").write_text("a" * 50 + "\n")
        said = await bench.ask("search_files", pattern="(a+)+b")
        assert ([each["path"] for each in said["matches"]], said["more"]) == (["a"], True)
        assert (await bench.refused("search_files", pattern="(a+)+c"))["code"] == "timed_out"


async def test_wrong_patterns_are_refused(bench: Workbench) -> None:
    assert (await bench.refused("search_files", pattern="(a"))["code"] == "invalid_pattern"
    assert (await bench.refused("search_files", pattern="a", limit=0))["code"] == "invalid_input"
    assert (await bench.refused("search_files", pattern="a" * 20_000))["code"] == "invalid_input"


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("**/*", "a", True), ("**/*", "a/b/c", True), ("*.py", "a.py", True), ("*.py", "a/b.py", False),
        ("**/*.py", "b.py", True), ("src/**", "src/a/b", True), ("a?c", "abc", True), ("a?c", "a/c", False),
        ("[ab].c", "a.c", True), ("[!ab].c", "a.c", False), ("a.c", "abc", False), ("[!x]", "/", False),
    ],
)  # fmt: skip
def test_globs(glob: str, path: str, fits: bool) -> None:
    assert bool(re.fullmatch(glob_pattern(glob), path)) is fits
