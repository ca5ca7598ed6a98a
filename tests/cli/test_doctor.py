"""The doctor finds what is wrong, says how to mend it, and touches nothing."""

import fcntl
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mycelium_backends import disk
from mycelium_backends.sqlite.errors import first_fault
from tests.cli.conftest import Command


def levels(mycelium: Command, *args: str, code: int = 0) -> dict[str, tuple[str, str, str]]:
    """By subject: level, what was found, what to do."""
    said = mycelium("doctor", "--json", *args)
    assert (said.code, said.data["ok"]) == (code, code == 0)
    return {each["subject"]: (each["level"], each["says"], each["mend"]) for each in said.data["findings"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def store(mycelium: Command, tmp_path: Path) -> Path:
    mycelium.succeed("create", "review")
    return tmp_path / "store" / "team.db"


def test_a_sound_store(mycelium: Command, store: Path) -> None:
    before = contents(store.parent)
    found = levels(mycelium)
    assert {level for level, _, _ in found.values()} == {"ok"}
    assert found["content"][1] == "1 tasks, 0 agents, 0 workflows, 0 triggers, 1 events"
    assert found["store"][1] == f"{mycelium.url}: you named it"
    assert {"Mycelium", "Python", "MCP SDK", "SQLite", "agent", "schema", "size", "room", "file system"} <= set(found)
    assert contents(store.parent) == before


def test_plain_lines(mycelium: Command, store: Path) -> None:
    rows = mycelium.succeed("doctor").rows
    assert ["integrity", "ok", "sound", ""] in rows
    assert store.exists()


def test_a_missing_store_is_not_made(mycelium: Command, tmp_path: Path) -> None:
    found = levels(mycelium)
    assert found["store"][0] == "ok"
    assert "integrity" not in found
    assert not (tmp_path / "store").exists()


def test_an_empty_file_is_left_empty(mycelium: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    levels(mycelium, "--backend", f"sqlite:///{tmp_path}/empty.db")
    assert (tmp_path / "empty.db").read_bytes() == b""


def test_a_store_in_use_is_read_through_its_log(mycelium: Command, store: Path) -> None:
    with sqlite3.connect(store) as held:
        held.execute("SELECT count(*) FROM tasks").fetchone()
        assert store.with_name("team.db-wal").exists()
        assert levels(mycelium)["integrity"][0] == "ok"
    held.close()


@pytest.mark.parametrize("content", [b"x", b"nothing like a database " * 500, b"SQLite format 3\x00" + b"\xff" * 9000])
def test_a_damaged_file(mycelium: Command, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "team.db").write_bytes(content)
    level, says, mend = levels(mycelium, "--backend", f"sqlite:///{folder}/team.db", code=1)["integrity"]
    assert (level, "damaged" in says, "backup" in mend) == ("fail", True, True)
    assert contents(folder) == {"team.db": content}


def test_a_page_torn_in_the_middle(mycelium: Command, store: Path) -> None:
    data = bytearray(store.read_bytes())
    data[4096 * 2 : 4096 * 4] = b"\xff" * 8192
    store.write_bytes(data)
    assert levels(mycelium, code=1)["integrity"][0] == "fail"
    assert store.read_bytes() == data


def test_another_programs_database(mycelium: Command, tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE people (name)")
    other.close()
    found = levels(mycelium, "--backend", f"sqlite:///{file}", code=1)
    assert "another program's" in found["integrity"][1]


def test_a_store_of_a_newer_mycelium(mycelium: Command, store: Path) -> None:
    with sqlite3.connect(store) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    level, says, mend = levels(mycelium, code=1)["integrity"]
    assert (level, "schema 99" in says, "Update Mycelium" in mend) == ("fail", True, True)


def test_a_folder_that_is_a_file(mycelium: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = levels(mycelium, "--backend", f"sqlite:///{tmp_path}/file/team.db", code=1)
    assert found["writable"][:2] == ("fail", f"{tmp_path}/file is not a folder")


def test_a_folder_that_may_not_be_written(mycelium: Command, store: Path) -> None:
    with immutable(store.parent):
        level, says, mend = levels(mycelium, code=1)["writable"]
    assert (level, says) == ("fail", f"this user may not write {store.parent}")
    assert "--backend" in mend


def test_no_store_for_auto(mycelium: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYCELIUM_BACKEND")
    Path(".git").mkdir()
    Path(".mycelium").write_text("in the way")
    Path(".claude").write_text("in the way, too")
    level, says, _ = levels(mycelium, code=1)["store"]
    assert (level, ".mycelium is not a folder" in says) == ("fail", True)


def test_urls_that_name_nothing(mycelium: Command) -> None:
    assert levels(mycelium, "--backend", "oracle://x", code=1)["store"][1].startswith("unknown_backend: ")
    assert levels(mycelium, "--backend", "sqlite:x", code=1)["store"][1].startswith("unknown_backend: ")
    assert levels(mycelium, "--backend", "memory:")["store"][0] == "ok"


def test_a_name_that_is_none(mycelium: Command) -> None:
    assert levels(mycelium, "--agent", "a b", code=1)["agent"][0] == "fail"
    assert levels(mycelium, "--agent", "ada")["agent"][1] == "ada"


def test_a_lock_that_stays_held(mycelium: Command, store: Path) -> None:
    with store.with_name("team.db-lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        level, says, mend = levels(mycelium, code=1)["lock"]
    assert level == "fail"
    assert says.startswith("process ")
    assert "kill -CONT" in mend


def nfs(_: Path) -> str:
    return "nfs4"


def test_network_file_systems_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "file_system_of", nfs)
    (finding,) = [each for each in disk.examine_folder(tmp_path / "team.db") if each.subject == "file system"]
    assert (finding.level, "WAL" in finding.mend) == ("warn", True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        f"2 1 0:5 / {tmp_path} rw shared:1 - nfs4 host:/x rw\n"
        f"3 2 0:6 / {tmp_path}/with\\040space rw - tmpfs tmpfs rw\n"
    )
    (tmp_path / "with space").mkdir()
    assert disk.file_system_of(tmp_path, mounts) == "nfs4"
    assert disk.file_system_of(tmp_path / "with space", mounts) == "tmpfs"
    assert disk.file_system_of(Path("/"), mounts) == "ext4"


@contextmanager
def immutable(folder: Path) -> Generator[None]:
    """A folder that not even root may write."""
    if subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode:
        pytest.skip("this file system knows no immutable folders")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)


def test_the_reason_for_damage_is_the_fault_and_not_its_heading() -> None:
    report = "*** in database main ***\nTree 3 page 4: btreeInitPage() returns error code 11\nmore"
    assert first_fault(report) == "Tree 3 page 4: btreeInitPage() returns error code 11"
    assert first_fault("disk image is malformed") == "disk image is malformed"
