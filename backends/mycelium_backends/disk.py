"""What can be wrong with the folder and the disk that a store is on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mycelium.place import Finding

NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems shared between machines, where locks and shared memory cannot be trusted; and all `fuse.` ones below."""
NETWORK_FUSE: Final = frozenset({"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"})
LITTLE: Final = 200 * 1024 * 1024
TOO_LITTLE: Final = 5 * 1024 * 1024


def examine_folder(file: Path) -> Iterator[Finding]:
    """Look at where `file` is or would be: may it be written, is it local, is there room."""
    there = next(each for each in [file.parent, *file.parents] if each.exists())
    yield _writable(file, there)
    yield _local(there)
    yield _room(there)


def _writable(file: Path, folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding("writable", f"{folder} is not a folder", "fail", "Move it away, or choose another store.")
    refused = next((each for each in (folder, file) if each.exists() and not os.access(each, os.W_OK)), None)
    if refused is None:
        return Finding("writable", "yes")
    mend = "Give this user the right to write it, or choose another store with --backend."
    return Finding("writable", f"this user may not write {refused}", "fail", mend)


def _local(folder: Path) -> Finding:
    system = file_system_of(folder)
    if system is None:
        return Finding("file system", "this system does not tell its kind")
    if system in NETWORK | NETWORK_FUSE:
        mend = "Keep it on a disk of this machine: SQLite's WAL and locks do not hold between machines."
        return Finding("file system", f"{system}, which several machines may share", "warn", mend)
    return Finding("file system", system)


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The kind of file system that a folder is on, where the system tells (Linux)."""
    if sys.platform != "linux":
        return None
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
        path = folder.resolve()
    except OSError:
        return None
    # The last of the longest: a later mount hides an earlier one on the same folder.
    found: tuple[int, str] | None = None
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = (len(point.parts), after.split(" ")[0])
    return found[1] if found else None


def _room(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("room", f"unknown ({error.strerror})", "warn", "See whether the disk is there.")
    said = f"{in_words(free)} free"
    if free >= LITTLE:
        return Finding("room", said)
    return Finding("room", said, "warn" if free >= TOO_LITTLE else "fail", "Free some space on that disk.")


def in_words(size: float) -> str:
    """A number of bytes for people, such as `3.2 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
