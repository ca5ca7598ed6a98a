"""What the demo finds in a file, and what it says of one it cannot measure."""

from pathlib import Path

import pytest

from mycelium_server.demo import measure
from mycelium_server.demo.measure import FileMeasure, Function, MeasuringFailed, measure_files

SOURCE = """\
import os
import sys, json


def plain():
    return json


class Tree:
    async def walk(self, deep):
        for each in deep:
            if each and deep:
                yield each
"""


async def measured(folder: Path, name: str, content: bytes) -> FileMeasure:
    (folder / name).write_bytes(content)
    (found,) = await measure_files(folder, [name])
    return found


async def test_lines_functions_complexity_and_unused_imports_are_measured(tmp_path: Path) -> None:
    assert await measured(tmp_path, "a.py", SOURCE.encode()) == FileMeasure(
        path="a.py",
        lines=13,
        functions=2,
        complexity=4,
        worst=(Function(name="walk", line=10, complexity=3), Function(name="plain", line=5, complexity=1)),
        unused=("os", "sys"),
        unused_count=2,
    )


async def test_an_empty_file_has_nothing(tmp_path: Path) -> None:
    assert await measured(tmp_path, "empty.py", b"") == FileMeasure(path="empty.py")


async def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    found = await measured(tmp_path, "broken.py", b"x = 1\ndef f(:\n    pass\n")
    assert found.problem is not None
    assert found.problem.startswith("syntax error in line 2: ")
    assert found.lines == 3


@pytest.mark.parametrize("content", [b"x = 1\0\n", b"\x00" * 100, b"\x7fELF\x02\x01"])
async def test_binary_content_is_a_syntax_error(tmp_path: Path, content: bytes) -> None:
    assert "syntax error" in str((await measured(tmp_path, "binary.py", content)).problem)


@pytest.mark.parametrize("content", [b"# caf\xe9\nimport os\n", b"# -*- coding: latin-1 -*-\n# caf\xe9\n"])
async def test_a_file_that_is_not_utf8_says_so(tmp_path: Path, content: bytes) -> None:
    assert (await measured(tmp_path, "latin.py", content)).problem == "not UTF-8"


async def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LARGEST", 1000)
    assert (await measured(tmp_path, "huge.py", b"x = 1\n" * 1000)).problem == "too long: 6,000 bytes"


async def test_one_bad_file_does_not_spoil_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(SOURCE)
    (tmp_path / "bad.py").write_text("def f(:")
    (tmp_path / "folder.py").mkdir()
    missing, bad, folder, good = await measure_files(tmp_path, ["missing.py", "bad.py", "folder.py", "good.py"])
    assert missing.problem == "cannot be read: No such file or directory"
    assert bad.problem
    assert folder.problem == "cannot be read: it is no longer a regular file"
    assert good.functions == 2


async def test_the_newest_syntax_and_odd_names_are_no_problem(tmp_path: Path) -> None:
    for name in ("-x.py", "@args.py", "with space.py", "ünï.py"):
        found = await measured(tmp_path, name, b"type Names = list[str]\n\n\ndef f[T](x: T) -> T:\n    return x\n")
        assert (found.path, found.functions, found.problem) == (name, 1, None)


async def test_the_projects_own_settings_and_silencers_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "ruff.toml").write_text("exclude = ['*.py']")
    found = await measured(tmp_path, "a.py", b"# ruff: noqa\nimport os  # noqa: F401\n")
    assert found.unused == ("os",)


async def test_what_a_package_imports_for_others_is_not_unused(tmp_path: Path) -> None:
    assert (await measured(tmp_path, "__init__.py", b"from .a import A\n")).unused_count == 0


async def test_the_folder_stays_as_it_was(tmp_path: Path) -> None:
    await measured(tmp_path, "a.py", SOURCE.encode())
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]


async def test_many_findings_of_a_file_are_counted_and_some_named(tmp_path: Path) -> None:
    names = [f"name_{number}" for number in range(30)]
    code = "".join(f"import {name}\n" for name in names) + "".join(f"def {name}_(): pass\n" for name in names)
    found = await measured(tmp_path, "many.py", code.encode())
    assert (found.unused_count, len(found.unused)) == (30, measure.NAMED)
    assert (found.functions, len(found.worst)) == (30, measure.WORST)


async def test_ruff_that_refuses_to_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "OPTIONS", ("check", "--no-such-option"))
    with pytest.raises(MeasuringFailed, match="ended with 2"):
        await measured(tmp_path, "a.py", b"")
