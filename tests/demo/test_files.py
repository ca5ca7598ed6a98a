"""Which files of a folder the demo surveys."""

import os
import sys
from pathlib import Path

import pytest

from mycelium_server.demo import files
from mycelium_server.demo.files import LeftOut, list_python_files


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")


def test_files_come_in_order_and_relative_to_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "a.py", "package/z.py", "package/sub/y.py", "notes.txt", "stub.pyi")
    assert list_python_files(tmp_path).files == ("a.py", "b.py", "package/z.py", "package/sub/y.py")


def test_other_peoples_code_is_passed_by(tmp_path: Path) -> None:
    write(tmp_path, "own.py", ".git/hook.py", "node_modules/x.py", "__pycache__/x.py", ".venv/x.py", "odd/lib/x.py")
    (tmp_path / "odd" / "pyvenv.cfg").touch()
    assert list_python_files(tmp_path).files == ("own.py",)


def test_only_the_named_subfolders_are_listed(tmp_path: Path) -> None:
    write(tmp_path, "ours/a.py", "theirs/b.py", "c.py")
    assert list_python_files(tmp_path, ["ours"]).files == ("ours/a.py",)


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    write(outside, "secret.py")
    write(inside, "own.py")
    (inside / "link.py").symlink_to(outside / "secret.py")
    (inside / "broken.py").symlink_to("nowhere.py")
    (inside / "folder").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    listing = list_python_files(inside)
    assert listing.files == ("own.py",)
    assert listing.left_out == (LeftOut(path="broken.py", why="a link"), LeftOut(path="link.py", why="a link"))
    assert listing.left_out_count == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such files, or no such names")
def test_what_is_no_regular_file_with_a_proper_name_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "own.py")
    os.mkfifo(tmp_path / "pipe.py")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py")).touch()
    listing = list_python_files(tmp_path)
    assert listing.files == ("own.py",)
    assert {each.path: each.why for each in listing.left_out} == {
        "pipe.py": "not a regular file",
        "caf\\udce9.py": "its name is not UTF-8",
    }
    assert listing.model_dump_json()


def test_a_list_too_long_for_a_task_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *(f"file-{number:03}.py" for number in range(300)))
    monkeypatch.setattr(files, "LIST_BYTES", 1500)
    listing = list_python_files(tmp_path)
    assert len(listing.files) == 100
    assert listing.left_out_count == 200
    assert len(listing.left_out) == files.NAMED


def test_a_folder_without_python_gives_an_empty_list(tmp_path: Path) -> None:
    assert list_python_files(tmp_path).files == ()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_python_files(tmp_path / "missing")
