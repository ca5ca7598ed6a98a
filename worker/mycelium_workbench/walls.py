"""The walls around a command, of Linux's namespaces: what it cannot see, it can neither read, write nor talk to.

Runs in a process of its own, before a command (see `keeper`), and knows only the standard library.

The command finds a file system made for it: the system's own folders and the `readable` ones, which cannot be changed,
and the folder that is worked in, which can. Nothing else of the machine is there: no home, no `/run` with the sockets
of services, no other process. It has no capabilities, even as root, gets none from programs that are setuid, and can
make no namespaces of its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mycelium_workbench import modes

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu")
HIDDEN: Final = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh", "/etc/ssl/private")
"""Secrets in the system's folders, which root could read."""
MOST_LOOKED_AT: Final = 20_000
DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
SCRATCH: Final = ("/tmp", "/run", "/dev/shm")
"""Files in memory, for as long as the command runs."""
MOST_FILES: Final = 50_000
"""In each of these: files take memory though they are empty."""
HOME: Final = "/run/workbench"
"""Empty at first, and gone with the command."""
EMPTY: Final = "/.empty"
"""What stands in the place of a hidden file."""
RESERVED_PIDS: Final = 300
"""That the kernel does not give out again, and that count for a namespace's highest."""

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE, MOUNT_SETATTR = -100, 0x8000, 442
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP = 1, 23, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC if sys.platform == "linux" else 0

_libc = ctypes.CDLL(None, use_errno=True)


class NoWall(Exception):
    """One of the walls cannot be raised here; the message says which and why."""


def part(*, network: bool) -> None:
    """Leave the machine's namespaces: for users, mounts, and so on. The next child is the first process in there."""
    user, group = os.geteuid(), os.getegid()
    kinds = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
    _call("unshare", kinds if network else kinds | CLONE_NEWNET)
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError as error:
        raise NoWall(f"mapping users: {error.strerror}") from None
    if not network:
        _raise_loopback()


@dataclass(frozen=True)
class Shown:
    """The folders that the command finds besides the system's."""

    root: str
    """Can be written,"""
    root_fd: int
    """and is the same as this, which was opened when its name was good."""
    readable: Sequence[str]
    """these cannot,"""
    guarded: Sequence[str]
    """nor can these, which lie below the root,"""
    hidden: Sequence[str]
    """and of these, which lie there, too, not even what they hold can be seen."""


def build(shown: Shown, *, network: bool, memory: int, processes: int) -> None:
    """Make the file system, as the first process in the new namespaces."""
    try:
        _build(shown, network=network, memory=memory, processes=processes)
    except OSError as error:
        raise NoWall(f"{error.filename or 'a mount'}: {error.strerror}") from None


def _build(shown: Shown, *, network: bool, memory: int, processes: int) -> None:
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    root = _opened(shown.root)
    if not os.path.samestat(os.fstat(root), os.fstat(shown.root_fd)):
        raise NoWall(f"{shown.root} is no longer the folder that it was")
    readable = {each: _opened(each) for each in shown.readable if not _is_within(each, shown.root)}
    size = memory // 4
    # Stacked upon the old one in namespaces of our own; it becomes the new root, and the old one is free again.
    _tmpfs("/tmp", 1 << 20)
    os.mkdir("/tmp/old")
    _call("pivot_root", b"/tmp", b"/tmp/old")
    os.chdir("/")
    for folder in ("/tmp", "/run", "/dev", "/proc", "/var"):
        os.mkdir(folder)
    os.symlink("/run", "/var/run")
    os.symlink("/tmp", "/var/tmp")
    for folder in ("/tmp", "/run"):
        _tmpfs(folder, size)
    os.mkdir(HOME, 0o700)
    _devices(size)
    for folder in SYSTEM:
        _system(folder)
    Path(EMPTY).touch(0o444)
    for hidden in HIDDEN:
        _hide(hidden)
    if os.geteuid() == 0:
        for hidden in list(unreadable_below("/etc")):
            _hide(hidden)
    if network:
        _names_of_hosts()
    for folder, fd in readable.items():
        _show(folder, fd)
    _show(shown.root, root, writable=True)
    _guard(shown)
    _cover(shown)
    _processes(processes, memory)
    _call("umount2", b"/old", MNT_DETACH)
    os.rmdir("/old")
    _call("mount", b"none", b"/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, None)


def _tmpfs(folder: str, size: int) -> None:
    options = f"size={size},nr_inodes={MOST_FILES},mode=0755".encode()
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", MS_NOSUID | MS_NODEV, options)


def _devices(size: int) -> None:
    for name in DEVICES:
        if os.path.exists(f"/old/dev/{name}"):
            Path(f"/dev/{name}").touch()
            _show_file(f"/dev/{name}", MS_RDONLY | MS_NOSUID | MS_NOEXEC)  # devices can be written all the same
    os.mkdir("/dev/shm")
    _tmpfs("/dev/shm", size)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")


def _system(folder: str) -> None:
    if os.path.islink(f"/old{folder}"):
        os.symlink(os.readlink(f"/old{folder}"), folder)
    elif os.path.isdir(f"/old{folder}"):
        _show(folder, _opened(f"/old{folder}"))


def _opened(folder: str) -> int:
    """A folder with no link on the way to it: one may have been put there since the way was looked at."""
    fd = os.open("/", _FOLDER)
    for name in filter(None, folder.split("/")):
        before, fd = fd, _open_in(fd, name, folder)
        os.close(before)
    return fd


def _open_in(fd: int, name: str, folder: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=fd)
    except OSError as error:
        os.close(fd)
        raise NoWall(f"{folder} is no longer a folder without links: {error.strerror}") from None


def _is_within(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


def _show(folder: str, fd: int, *, writable: bool = False) -> None:
    os.makedirs(folder, exist_ok=True)
    target = _opened(folder)
    os.close(target)
    os.fchdir(fd)
    _call("mount", b".", os.fsencode(folder), None, MS_BIND | MS_REC, None)
    os.chdir("/")
    os.close(fd)
    _restrict(folder, MS_NOSUID | MS_NODEV | (0 if writable else MS_RDONLY))


def _show_file(path: str, flags: int) -> None:
    _call("mount", os.fsencode(f"/old{path}"), os.fsencode(path), None, MS_BIND, None)
    _restrict(path, flags)


def _guard(shown: Shown) -> None:
    """Make what is guarded read-only, and what leads there a place that cannot be renamed, as a mount is."""
    for each in sorted(_on_the_way(shown.guarded, shown.root) | set(shown.guarded)):
        _hold(each)
        if each in shown.guarded:
            _restrict(each, MS_RDONLY | MS_NOSUID | MS_NODEV)


def _cover(shown: Shown) -> None:
    """Put something empty, and read-only, over what is hidden, and hold what leads there."""
    there = [each for each in shown.hidden if os.path.lexists(each)]
    for each in sorted(_on_the_way(there, shown.root)):
        _hold(each)
    for each in there:
        _hide(each)


def _on_the_way(paths: Sequence[str], root: str) -> set[str]:
    return {str(each) for path in paths for each in Path(path).parents if Path(root) in each.parents}


def _hold(folder: str) -> None:
    """Make a mount of it, which cannot be renamed."""
    path = os.fsencode(folder)
    _call("mount", path, path, None, MS_BIND | MS_REC, None)


def _restrict(folder: str, flags: int) -> None:
    # The attributes of mount_setattr(2) have the same numbers as mount(2)'s flags for these.
    attributes = struct.pack("=QQQQ", flags, 0, 0, 0)
    _call("syscall", MOUNT_SETATTR, AT_FDCWD, os.fsencode(folder), AT_RECURSIVE, attributes, len(attributes))


def _hide(path: str) -> None:
    if os.path.isdir(path):
        _call("mount", b"tmpfs", os.fsencode(path), b"tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, b"size=0,mode=0555")
    elif os.path.lexists(path) and not os.path.islink(path):
        # An empty file of our own: whatever is done to it stays here.
        _call("mount", EMPTY.encode(), os.fsencode(path), None, MS_BIND, None)
        _restrict(path, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def unreadable_below(folder: str, most: int = MOST_LOOKED_AT) -> Iterator[str]:
    """The files and folders below this one that not everybody may read, which root could.

    After `most` of them all folders count as such.
    """
    todo = [folder]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for each in entries:
                most -= 1
                mode = each.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and mode & 0o005 == 0o005 and most >= 0:
                    todo.append(each.path)
                elif stat.S_ISDIR(mode) or (not stat.S_ISLNK(mode) and not mode & 0o004):
                    yield each.path


def _names_of_hosts() -> None:
    """Where names are looked up may be told in `/run`, which is otherwise not shown."""
    real = os.readlink("/etc/resolv.conf") if os.path.islink("/etc/resolv.conf") else ""
    real = os.path.normpath(os.path.join("/etc", real))
    if real.startswith("/run/") and os.path.isfile(f"/old{real}"):
        os.makedirs(os.path.dirname(real), exist_ok=True)
        Path(real).touch()
        _show_file(real, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def scratch_bytes() -> int:
    """How much the command's files in memory take."""
    found = [os.statvfs(each) for each in SCRATCH]
    return sum((each.f_blocks - each.f_bfree) * each.f_frsize for each in found)


def _processes(most: int, memory: int) -> None:
    _call("mount", b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    with suppress(OSError):  # only newer kernels let others than the machine's root write here
        Path("/proc/sys/kernel/shmall").write_text(str(memory // 4 // resource.getpagesize()))
    if has_own_highest_pid():
        Path("/proc/sys/kernel/pid_max").write_text(str(RESERVED_PIDS + most + 2))
    # Root could change the kernel's settings there, which are not all apart for each namespace.
    _restrict("/proc", MS_RDONLY)


def kernel() -> tuple[int, int]:
    """Which Linux this is, as far as it matters."""
    major, minor, *_ = f"{platform.release()}.0.0".split(".")
    return int(major), int("".join(each for each in minor if each.isdigit()) or 0)


def has_own_highest_pid() -> bool:
    """Whether a namespace can have its own highest number of a process, which holds root as well."""
    return kernel() >= (6, 14)


def counts_by_namespace() -> bool:
    """Whether RLIMIT_NPROC counts what is in a namespace, instead of everything of the user's."""
    return kernel() >= (5, 14) and os.geteuid() != 0


def _raise_loopback() -> None:
    """The new network has one interface that leads nowhere; a command's own servers and clients meet there."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sh22x", b"lo", 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(asked, SIOCGIFFLAGS, request))
        fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def drop_capabilities() -> None:
    """Give up, for this process and all that come of it, every capability, and the ways to regain them."""
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    number = 0
    while _libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        _call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3 of capset(2), this process
    _call("capset", header, bytes(24))


def refuse_special_modes() -> None:
    """Let this process, and all that come of it, make no file that runs as its owner; where that is known how."""
    if not modes.are_held():
        return
    program = ctypes.create_string_buffer(modes.program())
    steps = ctypes.sizeof(program) // 8
    told = struct.pack("@HP", steps, ctypes.addressof(program))
    _call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, told, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, 9, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of whatever comes of this process and loses its own."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _call(name: str, *arguments: bytes | int | None) -> None:
    """Call the C library.

    Raises:
        NoWall: it refuses, or does not have this.
    """
    try:
        function = getattr(_libc, name)
    except AttributeError:
        raise NoWall(f"{name}: not in this system's library") from None
    if function(*(_passed(each) for each in arguments)) < 0:
        raise NoWall(f"{name}: {os.strerror(ctypes.get_errno())}")


def _passed(argument: bytes | int | None) -> object:
    # A number goes as a long: a variadic function such as syscall(2)'s reads whole registers.
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
