"""`run_command`: what it does, and its walls."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from mycelium_workbench import Limits, modes, walls
from mycelium_workbench.helper import words
from mycelium_workbench.orders import reported
from tests.workbench.bench import Workbench, serving, text_of, working

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("namespaces")]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

HELD = walls.has_own_highest_pid()
"""Whether the kernel itself can hold a bomb that a broken build would let go."""
HOLD = "echo 700 > /proc/sys/kernel/pid_max && " if HELD else ""
WITHOUT_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"),
    *(f'{HOLD}echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',),
    "sh",
)
"""Starts a server that can make no namespaces, as in many containers, and with which all that it started ends."""
BOMB = "bomb() { bomb | bomb & }; bomb; sleep 20"
LASTING_BOMB = "mkfifo never; bomb() { bomb | bomb & read word <>never; }; bomb"
"""One whose processes stay where they can make no more, so that it cannot go out by itself before anybody looks."""


async def test_command_runs_in_the_folder_and_says_how_it_went(bench: Workbench) -> None:
    (bench.root / "inner").mkdir()
    said = await bench.ask("run_command", command="pwd; cat; echo wrong >&2; exit 3", cwd="inner", stdin="given\n")
    assert said["output"] == f"{bench.root / 'inner'}\ngiven\nwrong\n"
    assert (said["exit_code"], said["left_out"]) == (3, 0)


async def test_only_the_first_command_says_what_holds(bench: Workbench) -> None:
    first = await bench.call("run_command", command="true")
    assert "Network off" in text_of(first)
    assert f"{bench.root} can be written" in text_of(first)
    assert "Walls" not in text_of(await bench.call("run_command", command="true"))


async def test_command_killed_by_a_signal_says_so(bench: Workbench) -> None:
    assert "killed by SIGKILL" in text_of(await bench.call("run_command", command="kill -9 $$"))


@pytest.mark.parametrize(
    ("command", "code"), [("  ", "invalid_input"), ("a\0b", "invalid_input"), ("x" * 100_001, "too_large")]
)
async def test_commands_that_no_shell_takes_are_refused(bench: Workbench, command: str, code: str) -> None:
    assert (await bench.refused("run_command", command=command))["code"] == code


async def test_folder_of_a_command_lies_inside(bench: Workbench) -> None:
    (bench.root / "out").symlink_to("/usr")
    (bench.root / "file").touch()
    assert (await bench.refused("run_command", command="ls", cwd="out"))["code"] == "outside_root"
    assert (await bench.refused("run_command", command="ls", cwd=".."))["code"] == "outside_root"
    assert (await bench.refused("run_command", command="ls", cwd="none"))["code"] == "not_found"
    assert (await bench.refused("run_command", command="ls", cwd="file"))["code"] == "not_a_file"


async def test_environment_holds_nothing_of_the_server(root: Path) -> None:
    async with serving(root, env={"SECRET_TOKEN": "hunter2", "ANTHROPIC_API_KEY": "hunter3"}) as bench:
        said = await bench.shell("env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
    assert "hunter" not in said
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names == {"PATH", "HOME", "TMPDIR", "LANG", "TERM", "PWD"}


async def test_home_is_empty_and_gone_with_the_command(bench: Workbench) -> None:
    assert await bench.shell('ls -A "$HOME"; echo x > "$HOME/left"; echo y > "$TMPDIR/left"') == ""
    assert await bench.shell('ls -A "$HOME"') == ""


@linux_only
async def test_nothing_else_can_be_written_or_seen(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("secret")
    said = await bench.shell(
        f"cat {tmp_path}/beside; touch {tmp_path}/made /usr/made /etc/made /made /proc/sys/kernel/core_pattern;"
        "echo 1 > /proc/sys/kernel/core_pattern; cat /etc/shadow; ls -A /root /home /run; ls /proc | grep -c '^[0-9]'"
    )
    assert "secret" not in said
    assert "root:*" not in said
    assert "root:$" not in said
    assert "root:!" not in said
    assert not (tmp_path / "made").exists()
    assert not Path("/usr/made").exists()
    assert said.count("Read-only file system") >= 4
    assert int(said.splitlines()[-1]) <= 5  # the keeper, the shell and the last pipe: no process of the machine


@linux_only
async def test_devices_and_masks_are_of_no_use_for_reaching_the_machine(bench: Workbench) -> None:
    """Their files are the machine's, and root owns them."""
    devices = [Path("/dev", each) for each in walls.DEVICES if Path("/dev", each).exists()]
    places = " ".join([*map(str, devices), "/etc/shadow", "/etc/gshadow", "/etc/resolv.conf"])
    said = await bench.shell(
        f"for each in {places}; do chmod 666 $each || echo no; touch $each || echo no; done 2>/dev/null;"
        "echo x > /dev/null && head -c 3 /dev/zero | wc -c; echo x > /etc/shadow"
    )
    assert said.split().count("no") >= 2 * len(devices) + 2
    assert "3\n" in said
    assert "x" not in await bench.shell("cat /etc/shadow")


@linux_only
async def test_command_has_no_capabilities_and_gets_no_namespaces(bench: Workbench) -> None:
    said = await bench.shell("grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs' /proc/self/status; unshare --user true")
    assert said.count("0000000000000000") == 5
    assert "NoNewPrivs:\t1" in said
    assert "unshare failed" in said
    assert "failed" in await bench.shell("unshare --mount true; mount -t tmpfs none /tmp || echo failed")


SPECIAL = """import os, ctypes
open("f", "w").close()
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("f", os.O_RDWR)
here = os.open(".", os.O_RDONLY)
for name, attempt in {
    "chmod": lambda: os.chmod("f", 0o4755), "fchmod": lambda: os.fchmod(fd, 0o2755),
    "fchmodat": lambda: os.chmod("f", 0o4755, dir_fd=here),
    "fchmodat2": lambda: libc.syscall(452, here, b"f", 0o4755, 0),
    "open": lambda: os.close(os.open("a", os.O_CREAT | os.O_WRONLY, 0o4755)),
    "temporary": lambda: os.close(os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755)),
    "mknod": lambda: os.mknod("b", 0o104755),
}.items():
    try:
        print(name, "refused" if attempt() == -1 else "done")
    except PermissionError:
        print(name, "refused")
os.close(os.open("c", os.O_CREAT | os.O_WRONLY, 0o755))
os.chmod("c", 0o1750)
"""


@linux_only
@pytest.mark.skipif(not modes.are_held(), reason="this processor's calls are not known")
async def test_commands_make_no_files_that_run_as_their_owner(bench: Workbench) -> None:
    """They would stay when the walls are gone, and root's would make anybody root."""
    (bench.root / "special.py").write_text(SPECIAL)
    said = await bench.shell(f"{sys.executable} special.py; umask 0; cp /bin/sh s; chmod u+s s || echo refused")
    assert said.count("refused") == 8, said
    assert "done" not in said
    assert not [each for each in bench.root.iterdir() if each.stat().st_mode & 0o6000]
    assert (bench.root / "c").stat().st_mode & 0o7777 == 0o1750


@linux_only
async def test_network_is_off_but_for_a_loopback_of_its_own(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        talk = f'import socket; socket.create_connection(("127.0.0.1", {port}), 3); print("through")'
        connect = f"{sys.executable} -c '{talk}'"
        async with serving(root) as bench:
            assert "Connection refused" in await bench.shell(connect)
            own = (
                'import socket; s = socket.create_server(("127.0.0.1", 0));'
                'socket.create_connection(s.getsockname()); print("met")'
            )
            assert await bench.shell(f"{sys.executable} -c '{own}'") == "met\n"
        async with serving(root, "--network") as bench:
            assert await bench.shell(connect) == "through\n"


@linux_only
async def test_sockets_of_services_are_out_of_sight(root: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        async with serving(root, "--network") as bench:
            connect = f'import socket; socket.socket(socket.AF_UNIX).connect("{tmp_path}/s")'
            assert "FileNotFoundError" in await bench.shell(f"{sys.executable} -c '{connect}'")


async def test_endless_output_is_stopped_and_its_ends_are_kept(root: Path) -> None:
    async with working(root, Limits(output_kb=4)) as bench:
        error = await bench.refused("run_command", command="echo first; yes")
        assert error["code"] == "too_much_output"
        assert error["output"].startswith("first\ny\n")
        assert len(error["output"]) < 5000
        assert error["output_bytes"] < 100 * 256 * 4096  # it goes on for the moment that ending it takes


async def test_long_output_keeps_its_beginning_and_end(root: Path) -> None:
    async with working(root, Limits(output_kb=4)) as bench:
        said = await bench.ask("run_command", command="seq 1 10000")
        assert said["output"].startswith("1\n2\n")
        assert said["output"].endswith("9999\n10000\n")
        assert said["output_bytes"] - said["left_out"] == 4096
        assert f"{said['left_out']} bytes left out" in said["output"]


async def test_command_that_ignores_sigterm_is_killed(bench: Workbench) -> None:
    with anyio.fail_after(20):
        error = await bench.refused(
            "run_command", command="trap '' TERM; echo on; while :; do sleep 1; done", seconds=2
        )
    assert (error["code"], error["output"]) == ("timed_out", "on\n")


async def test_command_may_clear_up_at_sigterm(bench: Workbench) -> None:
    command = "trap 'echo cleared > done; exit 0' TERM; while :; do sleep 0.05; done"
    assert (await bench.refused("run_command", command=command, seconds=2))["code"] == "timed_out"
    assert (bench.root / "done").read_text() == "cleared\n"


async def test_seconds_stay_within_the_limit(root: Path) -> None:
    async with working(root, Limits(seconds=0.5)) as bench:
        assert (await bench.refused("run_command", command="sleep 50", seconds=100))["code"] == "timed_out"


BEATS = "while :; do echo alive > beat.new; mv beat.new beat; sleep 0.05; done"  # nobody ever reads half a beat
DAEMON = f"(setsid nohup sh -c '{BEATS}' > /dev/null 2>&1 &) ; until [ -e beat ]; do sleep 0.02; done; cat beat"


async def test_what_a_command_leaves_behind_ends_with_it(bench: Workbench) -> None:
    assert await bench.shell(DAEMON) == "alive\n"
    (bench.root / "beat").unlink()
    await bench.shell("sleep 0.3")
    assert not (bench.root / "beat").exists()


async def test_cancelled_command_is_ended(bench: Workbench) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(bench.call, "run_command", command=BEATS))
        await _until_there(bench.root / "beat")
        tasks.cancel_scope.cancel()
    await bench.shell("sleep 0.2")
    (bench.root / "beat").unlink()
    await bench.shell("sleep 0.3")
    assert not (bench.root / "beat").exists()
    call = bench.audited()[0]["call"]
    assert [each["outcome"] for each in bench.audited() if each["call"] == call] == ["began", "cancelled"]


async def test_command_ends_with_a_server_that_is_killed(root: Path) -> None:
    beat = root / "beat"
    words = ["workbench", "--root", str(root), "--audit", str(root.parent / "a")]
    call = (
        '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        '"clientInfo":{"name":"t","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_command","arguments":'
        '{"command":"while :; do echo alive > beat; sleep 0.05; done"}}}\n'
    )
    mycelium = str(Path(sys.executable).with_name("mycelium"))
    async with await anyio.open_process([mycelium, *words]) as server:
        assert server.stdin is not None
        await server.stdin.send(call.encode())
        await _until_there(beat)
        server.kill()
        await server.wait()
    beat.unlink(missing_ok=True)
    async with working(root) as bench:  # which takes a moment
        await bench.shell("sleep 0.3")
    assert not beat.exists()


FORGE = """import json, os
for each in range(3, 64):
    try:
        os.write(each, b'{"exit_code": "forged", "stopped": [1]}\\n')
        print("written to", each)
    except OSError:
        pass
for each in os.listdir("/proc/1/fd"):
    if int(each) > 2:
        open(f"/proc/1/fd/{each}", "wb").write(b'{"exit_code": 0}')
"""


async def test_command_cannot_report_of_itself(bench: Workbench) -> None:
    (bench.root / "forge.py").write_text(FORGE)
    said = await bench.ask("run_command", command=f"{sys.executable} forge.py; exit 3")
    assert said["exit_code"] == 3
    assert "written" not in said["output"]
    assert "PermissionError" in said["output"]


def test_report_of_other_types_counts_as_none() -> None:
    for written, read in (
        (b'{"exit_code": 3, "stopped": null}', {"exit_code": 3, "stopped": None}),
        (b'{"exit_code": true, "stopped": [1], "failed": {}, "more": 1}', {}),
        (b'["exit_code"]', {}), (b"{", {}), (b"", {}),
    ):  # fmt: skip
        reading, writing = os.pipe()
        os.write(writing, written)
        os.close(writing)
        assert reported(reading) == read
        os.close(reading)


@linux_only
@pytest.mark.parametrize("replaced", ["by a link", "by another"])
async def test_root_that_is_replaced_is_worked_in_no_more(tmp_path: Path, replaced: str) -> None:
    """As a command on a folder around it may do."""
    root, secret = tmp_path / "outer/root", tmp_path / "secret"
    root.mkdir(parents=True)
    secret.mkdir()
    (secret / "file").write_text("hidden")
    async with working(root) as bench:
        assert await bench.shell("echo well") == "well\n"
        root.rename(tmp_path / "outer/moved")
        if replaced == "by a link":
            root.symlink_to(secret)
        else:
            root.mkdir()
        error = await bench.refused("run_command", command="cat file; echo x > made")
        assert (error["code"], "no longer" in error["message"]) == ("no_walls", True)
    assert [*os.listdir(secret), *os.listdir(tmp_path / "outer/moved")] == ["file"]
    assert (secret / "file").read_text() == "hidden"


@linux_only
async def test_root_in_a_readable_folder_can_be_written_alone(root: Path) -> None:
    async with working(root, readable=(root.parent,)) as bench:
        said = await bench.shell("echo x > made; cat made; touch ../beside 2>/dev/null || echo no")
    assert said == "x\nno\n"


async def _until_there(file: Path) -> None:
    with anyio.fail_after(30):
        while not file.exists():  # noqa: ASYNC110  another process makes it
            await anyio.sleep(0.02)


async def test_fork_bomb_is_contained(root: Path) -> None:
    async with working(root, Limits(processes=40)) as bench:
        error = await bench.refused("run_command", command=BOMB, seconds=3)
        assert error["code"] in {"too_many_processes", "timed_out"}
        assert await bench.shell("echo well") == "well\n"
        assert await bench.shell("for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait; echo through") == "through\n"


@linux_only
async def test_memory_is_limited_for_each_process_and_for_all(root: Path) -> None:
    async with working(root, Limits(memory_mb=160)) as bench:
        alone = f"{sys.executable} -c 'bytearray(200 << 20)'"
        assert "MemoryError" in await bench.shell(alone)
        together = f"{sys.executable} -c 'import time; x = b\"x\" * (70 << 20); time.sleep(20)'"
        error = await bench.refused("run_command", command=f"{together} & {together} & {together} & wait")
        assert error["code"] == "too_much_memory"
        assert "No space left" in await bench.shell("head -c 60000000 /dev/zero > /dev/shm/big")


SHARED = (
    "import mmap, time; m = mmap.mmap(-1, 70 << 20); m.write(bytes(70 << 20)); print(1, flush=True); time.sleep(20)"
)
FORKED = "import os, time; x = bytes(60 << 20); [os.fork() for _ in range(2)]; x.count(1); time.sleep(0.3)"


@linux_only
async def test_memory_that_is_shared_and_files_in_memory_count_as_well(root: Path) -> None:
    async with working(root, Limits(memory_mb=160)) as bench:
        program = f"{sys.executable} -c '{SHARED}'"
        files = "for each in /tmp /dev/shm $HOME; do head -c 35000000 /dev/zero > $each/big; done"
        error = await bench.refused("run_command", command=f"{files}; {program} & wait")
        assert error["code"] == "too_much_memory"
        assert (await bench.refused("run_command", command=f"{program} & {program} & {program} & wait"))["code"] == (
            "too_much_memory"
        )
        once = await bench.call("run_command", command=f"{sys.executable} -c '{FORKED}'")
        assert not once.is_error, text_of(once)  # four processes, one memory


@linux_only
@pytest.mark.skipif(os.geteuid() != 0, reason="others than root may not read it anyway")
async def test_what_only_root_may_read_of_the_system_is_hidden(bench: Workbench) -> None:
    assert await bench.shell("find /etc \\( -type f ! -perm -004 -o -type d ! -perm -005 \\) -print") == ""


def test_what_not_everybody_may_read_is_found(tmp_path: Path) -> None:
    for name, mode in (("open", 0o755), ("closed", 0o750), ("passing", 0o711), ("open/deep", 0o700)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    for name, mode in (("file", 0o644), ("key", 0o600), ("open/key", 0o640), ("open/file", 0o604)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to("key")
    found = {str(Path(each).relative_to(tmp_path)) for each in walls.unreadable_below(str(tmp_path))}
    assert found == {"closed", "passing", "open/deep", "key", "open/key"}
    assert str(tmp_path / "open") in set(walls.unreadable_below(str(tmp_path), 0))


async def test_files_that_commands_write_are_limited(root: Path) -> None:
    async with working(root, Limits(file_mb=1, command_file_mb=2)) as bench:
        result = await bench.call("run_command", command="head -c 3000000 /dev/zero > big")
        assert (root / "big").stat().st_size == 2 * 1024 * 1024
        assert "exit code 153" in text_of(result)
        assert "a file would have over 2 MiB: --command-file-mb" in text_of(result)
        assert "over 2 MiB" in text_of(await bench.call("run_command", command="exec head -c 3000000 /dev/zero > big"))


async def test_processor_time_is_limited_like_time(bench: Workbench) -> None:
    """As `kill` says it: using it up takes a second."""
    said = text_of(await bench.call("run_command", command="kill -XCPU $$", seconds=5))
    assert "killed by SIGXCPU (it used over 5 s of a processor's time)" in said


async def test_few_commands_run_at_the_same_time(bench: Workbench) -> None:
    counted: list[int] = []

    async def count(number: int) -> None:
        command = f"mkdir -p on/{number}; ls on | wc -l; sleep 1; ls on | wc -l; rmdir on/{number}"
        counted.extend(map(int, (await bench.shell(command)).split()))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(count, number)
    assert max(counted) <= 4


@linux_only
async def test_commands_read_only_what_else_they_were_given(root: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "file").write_text("to be read")
    async with working(root, readable=(given,)) as bench:
        assert "to be read" in await bench.shell(f"cat {given}/file; echo x > {given}/file")
        assert (given / "file").read_text() == "to be read"


@linux_only
async def test_without_namespaces_commands_are_refused(root: Path) -> None:
    for flags in ((), ("--network",)):
        async with serving(root, *flags, before=WITHOUT_NAMESPACES) as bench:
            error = await bench.refused("run_command", command="touch made")
            assert error["code"] == "no_walls"
            assert "--unconfined" in error["hint"]
            assert not (root / "made").exists()
            await bench.ask("write_file", path="a", content="b")  # the others need no walls


@linux_only
async def test_unconfined_commands_are_told_so_and_still_limited(root: Path) -> None:
    async with serving(root, "--unconfined", before=WITHOUT_NAMESPACES, env={"SECRET_TOKEN": "hunter2"}) as bench:
        assert "NO WALLS" in text_of(await bench.call("run_command", command="true"))
        assert "hunter2" not in await bench.shell("env")
        error = await bench.refused("run_command", command="trap '' TERM; sleep 9; sleep 9", seconds=0.3)
        assert error["code"] == "timed_out"
        assert await bench.shell(DAEMON) == "alive\n"
        (root / "beat").unlink()
        await bench.shell("sleep 0.3")
        assert not (root / "beat").exists()


@linux_only
@pytest.mark.skipif(not HELD, reason="nothing would hold the bomb if this failed")
async def test_unconfined_fork_bomb_is_ended(root: Path) -> None:
    async with serving(root, "--unconfined", "--processes", "40", before=WITHOUT_NAMESPACES) as bench:
        assert (await bench.refused("run_command", command=LASTING_BOMB, seconds=30))["code"] == "too_many_processes"
        assert int(await bench.shell("ls /proc | grep -c '^[0-9]'")) < 10


@linux_only
async def test_walls_stand_though_unconfined_was_allowed(root: Path) -> None:
    async with working(root, unconfined=True) as bench:
        assert "NO WALLS" not in text_of(await bench.call("run_command", command="true"))


SYSTEMS_PYTHON = Path("/usr/bin/python3")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not SYSTEMS_PYTHON.exists(), reason="others than root may not reach this Python")
def test_walls_hold_for_somebody_else_than_root() -> None:
    """Their processes are held by the kernel itself."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        said, report = _kept_for_nobody(folder, "id -u; echo x > made; cat made; " + BOMB)
    assert said.startswith("65534\nx\n")
    assert "Cannot fork" in said
    assert report["stopped"] is None


def _kept_for_nobody(folder: str, command: str) -> tuple[str, dict[str, object]]:
    reading, writing = os.pipe()
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    order: dict[str, object] = {
        "command": command, "folder": folder, "root": folder, "root_fd": root, "environment": {"PATH": os.defpath},
        "readable": [], "guarded": [], "hidden": [],
        "walls": True, "network": False, "seconds": 5, "memory": 1 << 30, "processes": 30, "file_bytes": 1 << 20,
        "report": writing, "parent": os.getpid(),
    }  # fmt: skip
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", str(SYSTEMS_PYTHON)]
    try:
        process = subprocess.Popen(
            [*become, *words("keeper", json.dumps(order))[1:]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=[writing, root], start_new_session=True, text=True,
        )  # fmt: skip
        with process:
            try:
                said, _ = process.communicate(timeout=3)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGUSR1)
                said, _ = process.communicate(timeout=20)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return said, json.loads(os.read(reading, 4096))
    finally:
        os.close(reading)
        os.close(writing)
        os.close(root)
