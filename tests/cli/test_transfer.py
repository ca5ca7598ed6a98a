"""Export and import: whole stores, whole files, or nothing."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def filled(mycelium: Command) -> Command:
    first = mycelium.succeed("create", "one", "--title", "Zürich 表 \u2028 \x85").out.strip()
    mycelium.succeed("create", "two", "--depends-on", first)
    mycelium.with_store(lambda m: m.store_agent_status(capabilities=["go"]))
    mycelium.with_store(lambda m: m.create_workflow("survey", ["a", "b"]))
    return mycelium


def test_a_store_moves_whole(filled: Command, tmp_path: Path) -> None:
    exported = filled.succeed("export").out
    assert filled("export", "store.jsonl").err == f"{exported.count(chr(10))} lines written to store.jsonl\n"
    assert Path("store.jsonl").read_bytes() == exported.encode()
    other = f"sqlite:///{tmp_path}/other.db"
    taken = filled.succeed("import", "store.jsonl", "--backend", other, "--json").data
    assert taken == {"taken": exported.count("\n") - 2}
    assert filled.succeed("export", "--backend", other).out == exported


def test_lines_go_through_pipes(filled: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled("export", "store.jsonl")
    with Path("store.jsonl").open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        filled("import", "-", "--backend", f"sqlite:///{tmp_path}/other.db")
    assert filled.succeed("tasks", "--backend", f"sqlite:///{tmp_path}/other.db").rows == filled.succeed("tasks").rows


def test_a_store_with_a_history_takes_nothing_over(filled: Command) -> None:
    filled("export", "store.jsonl")
    before = filled.succeed("export").out
    assert filled.fail(1, "import", "store.jsonl").startswith("conflict: ")
    assert filled.succeed("export").out == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"kind":"mycelium","format":1}\nnot json\n', "invalid_input: Line 2: "),
        (b'{"kind":"mycelium","format":99}\n', "invalid_input: Line 1: "),
        (b'{"kind":"mycelium","format":1}\n\xff\xfe\n', "invalid_input: Line 2: not UTF-8"),
        (b'{"kind":"task","id":"a/b"}\n', "invalid_input: Line 1: "),
        (b"", "invalid_input: Nothing to import: it is empty."),
    ],
)
def test_nothing_of_a_broken_export_is_taken_and_no_store_is_made_for_it(
    mycelium: Command, tmp_path: Path, content: bytes, says: str
) -> None:
    Path("broken.jsonl").write_bytes(content)
    assert mycelium.fail(2, "import", "broken.jsonl").startswith(says)
    assert not (tmp_path / "store").exists()
    mycelium.succeed("create", "one")
    before = mycelium.succeed("export").out
    assert mycelium.fail(2, "import", "broken.jsonl").startswith(says)
    assert mycelium.succeed("export").out == before


def test_files_that_cannot_be_used(filled: Command) -> None:
    assert filled.fail(2, "import", "missing.jsonl").startswith("invalid_input: missing.jsonl: ")
    assert filled.fail(2, "export", "missing/store.jsonl").startswith("invalid_input: missing/store.jsonl: ")
    assert filled.fail(2, "export", ".").startswith("invalid_input: ")


def test_a_failed_export_leaves_the_old_file_and_no_other(filled: Command, tmp_path: Path) -> None:
    Path("store.jsonl").write_text("the last one")
    assert filled("export", "store.jsonl", "--backend", f"sqlite:///{tmp_path}/missing.db").code == 3
    assert [(file.name, file.read_text()) for file in Path.cwd().iterdir()] == [("store.jsonl", "the last one")]


def test_an_export_replaces_what_a_link_leads_to_with_usual_rights(filled: Command, tmp_path: Path) -> None:
    target = tmp_path / "target.jsonl"
    target.write_text("old")
    Path("link.jsonl").symlink_to(target)
    filled("export", "link.jsonl")
    assert Path("link.jsonl").is_symlink()
    assert json.loads(target.read_text().split("\n")[0]) == {"kind": "mycelium", "format": 1}
    usual = os.umask(0)
    os.umask(usual)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~usual


def test_an_export_into_a_pipe_leaves_the_pipe(filled: Command) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()), daemon=True)
    reader.start()
    assert filled("export", "pipe").code == 0
    reader.join(timeout=20)
    assert read[0] == filled.succeed("export").out
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
