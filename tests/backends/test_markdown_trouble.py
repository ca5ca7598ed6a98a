"""A folder that cannot be read or written, for any reason: a clear error, nothing lost, nothing overwritten."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import zlib
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import anyio
import pytest

from mycelium import Mycelium
from mycelium.errors import (
    BackendUnavailable,
    Conflict,
    SchemaTooNew,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    UnknownBackend,
)
from mycelium.models import Task
from mycelium.place import place_at
from mycelium.rules import Change
from mycelium_backends.markdown import folder as folders
from mycelium_backends.markdown.folder import Folder
from mycelium_backends.markdown.journal import Journal
from mycelium_backends.markdown.log import events_in
from mycelium_backends.markdown.url import folder_of, url_of
from tests.backends.markdown_folder import edit, opened, task_file
from tests.support.processes import Refused, team
from tests.support.store import PATIENCE, claimed, done, log, snapshot

BIG = 100 * 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "team"


@pytest.fixture
async def m(folder: Path) -> AsyncGenerator[Mycelium]:
    async with opened(folder) as m:
        yield m


def a_link_out(file: Path) -> None:
    secret = file.parent.parent / "secret.md"
    secret.write_text("---\ntype: stolen\n---\n")
    file.symlink_to(secret)


def a_link_to_nowhere(file: Path) -> None:
    file.symlink_to("/nowhere")


def a_big_file(file: Path) -> None:
    with file.open("wb") as big:
        big.write(b"---\ntype: x\n---\n")
        big.truncate(BIG)


def not_text(file: Path) -> None:
    file.write_bytes(b"---\ntype: \xff\xfe\n---\n")


def a_folder(file: Path) -> None:
    file.mkdir()


def a_path_as_id(file: Path) -> None:
    file.write_text("---\nid: ../../etc/passwd\ntype: x\n---\n")


def a_name_with_spaces(file: Path) -> None:
    file.with_name("task-a b.md").write_text("---\ntype: x\n---\n")


def an_endless_alias(file: Path) -> None:
    file.write_text("---\ntype: x\nlease: &a {b: *a}\n---\n")


def an_alias_bomb(file: Path) -> None:
    levels = "".join(f"  a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}\n" for n in range(1, 40))
    file.write_text(f"---\ntype: x\nlease:\n  a0: &a0 {{x: 1}}\n{levels}---\n")


def a_deep_value(file: Path) -> None:
    deep = 950
    file.write_text(f"---\ntype: x\nlease: {'{a: ' * deep}1{'}' * deep}\n---\n")


def a_bottomless_value(file: Path) -> None:
    file.write_text(f"---\ntype: x\nlease: {'[' * 1_000_000}\n---\n")


def a_deep_payload(file: Path) -> None:
    file.write_text(f'---\ntype: x\n---\n## Payload\n\n{{"a": {"[" * 100_000}\n')


TROUBLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link out of the folder": (a_link_out, "symbolic link"),
    "a link to nowhere": (a_link_to_nowhere, "symbolic link"),
    "100 MB": (a_big_file, "104,857,616|104,857,600 bytes"),
    "not text": (not_text, "UTF-8"),
    "a folder": (a_folder, "regular file"),
    "a pipe": (os.mkfifo, "regular file"),
    "an endless alias": (an_endless_alias, "alias"),
    "an alias bomb": (an_alias_bomb, "alias"),
    "a deep value": (a_deep_value, "within each other"),
    "a bottomless value": (a_bottomless_value, "within each other"),
    "a deep payload": (a_deep_payload, "no JSON"),
    "a path as id": (a_path_as_id, "its name"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_file_that_cannot_be_is_named_and_the_rest_goes_on(m: Mycelium, folder: Path, trouble: str) -> None:
    make, why = TROUBLES[trouble]
    good = await m.create_task("x")
    file = task_file(folder, "bad")
    make(file)
    before = os.lstat(file)
    with anyio.fail_after(20):
        with pytest.raises(StoreDamaged, match=why) as refused:
            await m.get_task("bad")
        assert str(file) in str(refused.value)
        assert [task.id for task in (await m.list_tasks()).records] == [good.id]
        with pytest.raises(Conflict):
            await m.backend.commit(
                lambda view: Change(None, puts=(Task(id="bad", type="x", created_at=view.now, updated_at=view.now),))
            )
        assert (await claimed(m)).id == good.id
    after = os.lstat(file)
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    place = place_at(f"markdown:{folder}")
    assert place is not None
    (found,) = [finding for finding in place.examine() if finding.level == "fail"]
    assert str(file) in found.says


def failed(folder: Path) -> list[str]:
    place = place_at(f"markdown:{folder}")
    assert place is not None
    return [finding.says for finding in place.examine() if finding.level == "fail"]


async def test_files_that_can_be_read_but_not_be_taken_up_are_named_too(folder: Path) -> None:
    async with opened(folder) as m:
        task = await m.create_task("x")
        await done(m, task.id)
        edit(task_file(folder, task.id), "status: completed", "status: pending")
        task_file(folder, "lost").write_text("---\ntype: x\n---\n## Dependencies\n\n- nowhere\n")
        for key in (task.id, "lost"):
            with pytest.raises(StoreDamaged):
                await m.get_task(key)
        while_open = failed(folder)
    before = sorted(file.name for file in folder.rglob("*"))
    assert failed(folder) == while_open
    assert sorted(file.name for file in folder.rglob("*")) == before
    assert ["already completed" in text or "nowhere" in text for text in while_open] == [True, True]
    edit(task_file(folder, task.id), "status: pending", "status: completed")
    task_file(folder, "lost").unlink()
    assert failed(folder) == []


async def test_a_name_that_is_no_id_is_left_alone(m: Mycelium, folder: Path) -> None:
    (folder / "task-a b.md").write_text("---\ntype: x\n---\n")
    (folder / "task-notes").write_text("not one of ours")
    (folder / "README.md").write_text("not one of ours, either")
    async with opened(folder, "bob") as bob:
        assert (await bob.list_tasks()).records == []
    place = place_at(f"markdown:{folder}")
    assert place is not None
    (found,) = [finding for finding in place.examine() if finding.level == "fail"]
    assert "'a b' is not a valid id" in found.says


async def test_a_links_target_is_never_written(m: Mycelium, folder: Path, tmp_path: Path) -> None:
    task = await m.create_task("x")
    file, elsewhere = task_file(folder, task.id), tmp_path / "elsewhere.md"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    before = elsewhere.read_text()
    with pytest.raises(StoreDamaged, match="symbolic link"):
        await m.cancel_task(task.id)
    assert elsewhere.read_text() == before


@pytest.mark.parametrize("name", ["events.md", ".state"])
async def test_a_log_or_a_state_elsewhere_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreDamaged, match="symbolic link"):
        async with opened(folder):
            pass
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["new", "journal", "index.db", "index.db-wal", "index.db-lock"])
async def test_a_piece_of_the_state_that_lies_elsewhere_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / "task-precious.md"
    precious.write_text("precious")
    (folder / ".state").mkdir(parents=True)
    (folder / ".state" / name).symlink_to(elsewhere if name == "new" else precious)
    with pytest.raises(StoreDamaged, match="symbolic link"):
        async with opened(folder):
            pass
    assert precious.read_text() == "precious"


async def test_spare_contents_are_cleared_in_their_folder_only(folder: Path, tmp_path: Path) -> None:
    (folder / ".state" / "new").mkdir(parents=True)
    left, mine = folder / ".state" / "new" / "task-a.md", folder / ".state" / "new" / "mine.txt"
    left.touch()
    mine.touch()
    Folder(folder).clear()
    assert (left.exists(), mine.exists()) == (False, True)
    mine.rename(tmp_path / "task-a.md")
    left.parent.rmdir()
    left.parent.symlink_to(tmp_path)
    Folder(folder).clear()
    assert (tmp_path / "task-a.md").exists()


async def test_a_journal_that_became_a_link_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "journal").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreDamaged, match="symbolic link"):
        Journal(tmp_path / "journal")
    with pytest.raises(StoreDamaged, match="regular file"):
        Journal(tmp_path)


WELL: dict[str, object] = {"task-a.md": ["x", "", "", 0]}


@pytest.mark.parametrize(
    "body",
    [
        [{"../../outside": ["x", "", "", 0]}, 0, ""],
        [{"task-/../../outside.md": ["x", "", "", 0]}, 0, ""],
        [{".gitignore": ["x", "", "", 0]}, 0, ""],
        [{"task-a.md": [1, "", "", 0]}, 0, ""],
        [{"task-a.md": []}, 0, ""],
        [WELL, -1, ""],
        [WELL, 0, 7],
        [WELL],
        7,
    ],
)
async def test_a_journal_that_somebody_made_up_writes_nothing(tmp_path: Path, folder: Path, body: object) -> None:
    text = json.dumps(body).encode()
    (folder / ".state" / "new").mkdir(parents=True)
    (folder / "task-").mkdir()
    (folder / ".state" / "journal").write_bytes(b"%016x%08x\n" % (len(text), zlib.crc32(text)) + text)
    async with opened(folder) as m:
        assert (await m.list_tasks()).records == []
        assert (await m.create_task("x")).type == "x"
    assert [file.name for file in tmp_path.iterdir()] == ["team"]
    assert (folder / ".gitignore").read_text() != "x"


@pytest.mark.parametrize("make", [a_folder, os.mkfifo])
def test_a_log_that_is_no_file_is_told_without_waiting_for_it(folder: Path, make: Callable[[Path], None]) -> None:
    folder.mkdir()
    make(folder / "events.md")
    place = place_at(f"markdown:{folder}")
    assert place is not None
    watchdog = threading.Timer(20, os._exit, [3])  # nothing else ends a wait for a pipe
    watchdog.start()
    try:
        assert any("regular file" in found.says for found in place.examine() if found.level == "fail")
        with pytest.raises(StoreDamaged, match="regular file"):
            anyio.run(use, folder)
    finally:
        watchdog.cancel()


async def use(folder: Path) -> None:
    async with opened(folder) as m:
        await m.create_task("x")


async def looks() -> AsyncGenerator[None]:
    while True:
        yield
        await anyio.sleep(0.02)


async def test_a_log_that_is_removed_while_open_is_written_again(m: Mycelium, folder: Path) -> None:
    await m.create_task("x")
    await m.publish_event("c", {"text": "all of it"})
    before = await log(m)
    (folder / "events.md").unlink()
    await m.create_task("y")
    assert list(events_in(folder / "events.md")) == await log(m)
    assert (await log(m))[: len(before)] == before
    (folder / "events.md").unlink()
    with anyio.fail_after(PATIENCE):
        async for _ in looks():
            if (folder / "events.md").exists():
                break


async def test_a_log_that_is_removed_while_closed_is_written_again(folder: Path) -> None:
    async with opened(folder) as m:
        await m.create_task("x")
        before = await log(m)
    (folder / "events.md").unlink()
    async with opened(folder) as m:
        assert await log(m) == before
    assert list(events_in(folder / "events.md")) == before


async def test_a_log_that_becomes_a_pipe_while_open_ends_the_writing(m: Mycelium, folder: Path) -> None:
    (folder / "events.md").unlink()
    os.mkfifo(folder / "events.md")
    with anyio.fail_after(20), pytest.raises(StoreDamaged, match="regular file"):
        await m.create_task("never")


@pytest.mark.parametrize("number", [2**63 - 1, 2**62 + 1, 9999999999999999999])
async def test_an_event_with_a_number_beyond_all_is_named_and_passed_over(folder: Path, number: int) -> None:
    async with opened(folder) as m:
        await m.create_task("x")
    with (folder / "events.md").open("a") as lines:
        lines.write(f"- {number} 2026-11-21T10:00:00+00:00 tasks:events task.created - {{}} zz-1\n")
    async with opened(folder) as m:
        assert (await m.publish_event("c")).seq == 2
    place = place_at(f"markdown:{folder}")
    assert place is not None
    assert any(f"no event: - {number}" in finding.says for finding in place.examine())


async def test_a_folder_of_a_newer_mycelium_is_refused_and_left_as_it_is(folder: Path) -> None:
    async with opened(folder) as m:
        await m.create_task("x")
    edit(folder / "events.md", "format: 1", "format: 99")
    before = {file: file.read_bytes() for file in folder.glob("*.md")}
    with pytest.raises(SchemaTooNew, match="99"):
        async with opened(folder):
            pass
    assert {file: file.read_bytes() for file in folder.glob("*.md")} == before


async def test_a_newer_mycelium_that_comes_while_it_is_open_ends_the_writing(m: Mycelium, folder: Path) -> None:
    edit(folder / "events.md", "format: 1", "format: 99 ")
    with pytest.raises(SchemaTooNew):
        await m.create_task("never")
    assert not list(folder.glob("task-*"))


async def test_a_full_disk_refuses_the_change_and_leaves_nothing_of_it(m: Mycelium, folder: Path) -> None:
    kept = await m.create_task("before")
    before = await snapshot(m)
    names = sorted(file.name for file in folder.glob("*.md"))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # A limit on the size of files is the nearest thing to a full disk that needs no other rights.
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limit[1]))
        with pytest.raises(StoreError) as refused:
            await m.create_task("never", payload={"text": "x" * 100_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert refused.value.code == "store_full"
    assert await snapshot(m) == before
    assert sorted(file.name for file in folder.glob("*.md")) == names
    assert not list((folder / ".state" / "new").iterdir())
    later = await m.create_task("after")
    assert {task.id for task in (await m.list_tasks()).records} == {kept.id, later.id}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("place", ["journal", "new contents"])
async def test_no_room_for_a_commit_is_told_as_such(
    m: Mycelium, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    await m.create_task("before")
    before = await snapshot(m)
    with monkeypatch.context() as patched:
        if place == "journal":
            patched.setattr(os, "pwrite", full)
        else:
            patched.setattr(folders.Folder, "prepare", full)
        with pytest.raises(StoreFull):
            await m.create_task("never")
    assert await snapshot(m) == before
    assert (await m.create_task("after")).type == "after"


async def test_a_commit_whose_files_find_no_room_is_kept_and_written_later(
    m: Mycelium, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folders.Folder, "add_to_log", full)
        task = await m.create_task("first")
        with pytest.raises(StoreFull):
            await m.create_task("second")
    assert (await m.get_task(task.id)).type == "first"
    third = await m.create_task("third")
    text = (folder / "events.md").read_text()
    assert text.count(f'task.created ada {{"task_id":"{task.id}"') == 1
    assert text.index(task.id) < text.index(third.id)
    assert [event.seq for event in await log(m)] == list(range(1, len(await log(m)) + 1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A disk of half a megabyte, where this user may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("this user may not mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


async def fill_up(m: Mycelium, acknowledged: list[str]) -> None:
    while len(acknowledged) < 1000:
        acknowledged.append((await m.create_task("x", payload={"text": "y" * 2000})).id)


async def test_a_disk_that_fills_up_holds_all_that_was_acknowledged(small_disk: Path) -> None:
    acknowledged: list[str] = []
    async with opened(small_disk / "team") as m:
        with pytest.raises(StoreFull):
            await fill_up(m, acknowledged)
        assert acknowledged
        assert {task.id for task in (await m.list_tasks(limit=1000)).records} == set(acknowledged)
        filled = await m.last_seq()
        await anyio.run_process(["mount", "-o", "remount,size=4m", str(small_disk)])
        acknowledged.append((await m.create_task("after")).id)
    shutil.rmtree(small_disk / "team" / ".state")
    async with opened(small_disk / "team") as m:
        assert {task.id for task in (await m.list_tasks(limit=1000)).records} == set(acknowledged)
        assert await m.last_seq() > filled


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackendUnavailable):
        async with opened(tmp_path / "file" / "team"):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(StoreReadOnly):
        async with opened(folder):
            pass
    folder.chmod(0o700)


async def test_an_index_that_is_damaged_is_made_anew(folder: Path) -> None:
    async with opened(folder) as m:
        task = await m.create_task("x")
        events = await log(m)
    (folder / ".state" / "index.db").write_bytes(b"scribble" * 1000)
    async with opened(folder) as m:
        assert (await m.get_task(task.id)).type == "x"
        assert [event for event in await log(m) if event.type == "task.created"] == [
            event for event in events if event.type == "task.created"
        ]


async def test_a_state_that_is_removed_while_open_takes_no_more_writes(m: Mycelium, folder: Path) -> None:
    (folder / ".state" / "index.db").unlink()
    with pytest.raises(BackendUnavailable, match="removed"):
        await m.create_task("never")
    assert not list(folder.glob("task-*"))


async def take_notes(folder: Path, notes: dict[Path, str]) -> None:
    """Write a note into one file after another, as somebody does who saves what they read a moment ago."""
    while True:
        await anyio.sleep(0.005)
        for file in [file for file in folder.glob("task-*.md") if file not in notes][:1]:
            notes[file] = f"Note {len(notes)}."
            edit(file, "## Progress", f"{notes[file]}\n\n## Progress")


async def test_servers_under_load_and_a_person_beside_them_lose_nothing(folder: Path) -> None:
    created: list[str] = []
    won: list[str] = []
    notes: dict[Path, str] = {}
    async with team(url_of(folder), 2) as servers:

        async def work(n: int) -> None:
            server = servers[n % 2]
            created.append((await server.call("create_task", type="x", payload={"n": n}))["task_id"])
            try:
                task = (await server.call("claim_task"))["task"]
            except Refused:
                return
            if task:
                won.append(task["id"])
                await server.call("complete_task", task_id=task["id"])

        async with anyio.create_task_group() as person:
            person.start_soon(take_notes, folder, notes)
            async with anyio.create_task_group() as group:
                for n in range(60):
                    group.start_soon(work, n)
            person.cancel_scope.cancel()
    async with opened(folder) as m:
        stored = {task.id: task.status for task in (await m.list_tasks(limit=1000)).records}
        assert set(stored) == set(created)
        assert len(won) == len(set(won))
        assert {key for key, status in stored.items() if status == "completed"} == set(won)
        assert notes
        assert all(file.read_text().count(note) == 1 for file, note in notes.items())
        assert [event.seq for event in await log(m)] == list(range(1, await m.last_seq() + 1))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("markdown:///srv/team", "/srv/team"),
        ("markdown:////srv/team", "/srv/team"),
        ("markdown:/srv/team", "/srv/team"),
        ("markdown:notes/team", "notes/team"),
        ("markdown:", ".claude/coordination"),
        ("markdown://", ".claude/coordination"),
        ("markdown:~/team", str(Path("~/team").expanduser())),
    ],
)
def test_a_url_names_a_folder(url: str, path: str) -> None:
    assert folder_of(url) == Path(path).absolute()
    assert folder_of(url_of(folder_of(url))) == folder_of(url)


@pytest.mark.parametrize("url", ["markdown://host/team", "markdown:a\0b", "sqlite:///x"])
def test_a_url_that_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(UnknownBackend):
        folder_of(url)
