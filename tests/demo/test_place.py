"""What the demo surveys by default, and where it keeps what it makes."""

import os
import sys
from pathlib import Path

import pytest

from mycelium.errors import InvalidInput
from mycelium_server.demo.files import list_python_files
from mycelium_server.demo.place import new_place, target_at


def test_its_own_source_is_surveyed_by_default() -> None:
    target = target_at(None)
    assert target.name == "Mycelium's own source"
    assert "mycelium/errors.py" in list_python_files(Path(target.folder), target.only).files


def test_of_an_installation_only_our_packages_are_surveyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("mycelium", "mycelium_server", "rich"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "mycelium_mcp-1.dist-info").mkdir()
    monkeypatch.setattr("mycelium.__file__", str(tmp_path / "mycelium" / "__init__.py"))
    assert target_at(None).only == ("mycelium", "mycelium_server")


@pytest.mark.parametrize("name", ["missing", "file.py"])
def test_what_is_no_folder_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.py").touch()
    with pytest.raises(InvalidInput, match=f"{name}' is not a folder"):
        target_at(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_whose_name_no_agent_could_be_told_is_refused(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with pytest.raises(InvalidInput, match="not UTF-8"):
        target_at(folder)


def test_in_a_project_everything_goes_into_its_own_ignored_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)
    first, second = new_place(below), new_place(below)
    assert first.parent == second.parent == tmp_path / ".mycelium" / "demo"
    assert first != second
    assert (first.parent / ".gitignore").read_text() == "*\n"


def test_outside_a_project_everything_goes_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert new_place(Path("/")).parent == tmp_path
