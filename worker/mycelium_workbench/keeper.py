"""Runs one command and keeps it within its limits: a process of its own, which knows only the standard library.

With walls there are three processes: one outside, which waits; one inside, the first in its namespace, with whose end
the kernel ends all others there; and the command. Without walls the first two are one, which adopts what the command
leaves behind and ends it.

It is told what to do in JSON, as its one argument, and says how it went in one line of JSON on the descriptor `report`.
SIGTERM is passed on to everything that the command started; SIGUSR1 ends all of it at once.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mycelium_workbench import walls

LOOK_EVERY: Final = 0.05
"""Seconds between two looks at how many processes there are and how much memory they use."""


@dataclass(frozen=True)
class Order:
    """What to run, and within what."""

    command: str
    folder: str
    root: str
    root_fd: int
    environment: dict[str, str]
    readable: list[str]
    guarded: list[str]
    hidden: list[str]
    walls: bool
    network: bool
    seconds: float
    memory: int
    processes: int
    file_bytes: int
    report: int
    parent: int


def main(argument: str) -> None:
    """Do as told; never returns."""
    order = Order(**json.loads(argument))
    for each in (order.report, order.root_fd):
        os.set_inheritable(each, False)  # the command could report something else of itself
    try:
        said = _kept_inside(order) if order.walls else _kept(order)
    except walls.NoWall as error:
        said = {"failed": str(error)}
    if said:
        _report(order, said)
    os._exit(0)


def _report(order: Order, said: dict[str, Any]) -> None:
    os.write(order.report, json.dumps(said).encode() + b"\n")


def _kept_inside(order: Order) -> dict[str, Any]:
    _die_with(order.parent)
    walls.part(network=order.network)
    inner = os.fork()
    if inner:
        for each in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(each, signal.SIG_IGN)
        os.waitpid(inner, 0)
        return {}
    walls.die_with_parent()
    shown = walls.Shown(order.root, order.root_fd, order.readable, order.guarded, order.hidden)
    walls.build(shown, network=order.network, memory=order.memory, processes=order.processes)
    return Keeper(order).run()


def _kept(order: Order) -> dict[str, Any]:
    _die_with(order.parent)
    walls.adopt_orphans()
    return Keeper(order).run()


def _die_with(parent: int) -> None:
    walls.die_with_parent()
    if os.getppid() != parent:
        os._exit(0)


class Keeper:
    """Waits for the command, takes in its orphans, and looks after its limits."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        self._told: set[int] = set()
        for each in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(each, lambda number, _frame: self._told.add(number))
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._stopped: str | None = None
        self._command = 0

    def run(self) -> dict[str, Any]:
        """Run the command to its end, whatever ends it, and say how it ended."""
        self._command = _spawn(self._order)
        status: int | None = None
        while status is None:
            select.select([self._wake], [], [], LOOK_EVERY)
            with suppress(BlockingIOError):
                os.read(self._wake, 512)
            self._obey()
            self._look()
            status = self._reap()
        self._end()
        code = os.waitstatus_to_exitcode(status)
        return {"exit_code": code, "stopped": self._stopped}

    def _obey(self) -> None:
        told, self._told = self._told, set()
        if signal.SIGUSR1 in told:
            self._end()
        elif signal.SIGTERM in told:
            self._signal(signal.SIGTERM)

    def _look(self) -> None:
        there = self._others()
        if len(there) > self._order.processes:
            self._stop("processes")
        elif self._memory(there) > self._order.memory:
            self._stop("memory")

    def _memory(self, there: list[int]) -> int:
        """Bytes in use: of processes, of what they share, and of files that lie in memory."""
        files = walls.scratch_bytes() if self._order.walls else 0
        counted = sum(_memory(each) for each in there) + files
        # Whatever several share counts for each of them there. Going through it page by page takes longer.
        return counted if counted <= self._order.memory else sum(_part(each) for each in there) + files

    def _stop(self, why: str) -> None:
        self._stopped = why
        self._end()

    def _reap(self) -> int | None:
        """Take in all that has ended, and give the command's status if it is among them."""
        found = None
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid == self._command:
                    found = status
        return found

    def _end(self) -> None:
        """End everything that the command started."""
        if self._order.walls:
            self._signal(signal.SIGKILL)  # and whatever slips through ends with this process
            return
        # A whole group dies at once, however fast it forks; after that come those that left for a group of their own.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._command, signal.SIGKILL)
        while left := self._others():
            for group in {_group(each) for each in left} - {-1, os.getpgrp()}:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
            _kill(set(left), signal.SIGKILL)
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        """Take in what has ended, but for the command itself, whose status is still asked for."""
        for each in _descendants(os.getpid(), _everyone(), dead=True):
            if each != self._command:
                with suppress(ChildProcessError):
                    os.waitpid(each, os.WNOHANG)

    def _signal(self, number: signal.Signals) -> None:
        if self._order.walls:
            with suppress(ProcessLookupError):
                os.kill(-1, number)  # all in this namespace but this process
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._command, number)
        _kill(set(self._others()), number)

    def _others(self) -> list[int]:
        """The processes that came of the command and still run."""
        every = _everyone()
        return [each for each in every if each != 1] if self._order.walls else _descendants(os.getpid(), every)


def _everyone() -> list[int]:
    """All processes that this one can see; none where there is no /proc."""
    try:
        return [int(each) for each in os.listdir("/proc") if each.isdigit()]
    except FileNotFoundError:
        return []


def _descendants(ancestor: int, every: list[int], *, dead: bool = False) -> list[int]:
    """The processes that came of this one and still run; with `dead`, its own children that have ended as well."""
    children: dict[int, list[int]] = {}
    for each in every:
        state, parent, _group = _about(each)
        if state != "Z" or dead:
            children.setdefault(parent, []).append(each)
    found: list[int] = []
    todo = [ancestor]
    while todo:
        born = children.get(todo.pop(), [])
        found += born
        todo += born
    return found


def _about(pid: int) -> tuple[str, int, int]:
    """A process's state, its parent and its group."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent, group = file.read().rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return "Z", -1, -1
    return state.decode(), int(parent), int(group)


def _group(pid: int) -> int:
    return _about(pid)[2]


def _memory(pid: int) -> int:
    """Bytes of this process that lie in no file of a disk."""
    return _summed(f"/proc/{pid}/status", (b"RssAnon:", b"RssShmem:")) or 0


def _part(pid: int) -> int:
    """The same, with its part only of what it shares with others, where the kernel tells."""
    exact = _summed(f"/proc/{pid}/smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))
    return _memory(pid) if exact is None else exact


def _summed(path: str, names: tuple[bytes, ...]) -> int | None:
    """The sum of these lines, each of which counts 1024 bytes; None if there are none."""
    try:
        with open(path, "rb") as file:
            found = [int(line.split()[1]) for line in file if line.startswith(names)]
    except (OSError, ValueError, IndexError):
        return None
    return sum(found) * 1024 if found else None


def _threads_of_user() -> int:
    user, found = os.geteuid(), 0
    for each in _everyone():
        with suppress(OSError):
            if os.stat(f"/proc/{each}").st_uid == user:
                found += len(os.listdir(f"/proc/{each}/task"))
    return found


def _kill(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _spawn(order: Order) -> int:
    """Start the command, in a session of its own."""
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        for each in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(each, signal.SIG_DFL)
        os.umask(0o022)
        os.chdir(order.folder)
        _limit(order)
        if order.walls:
            walls.drop_capabilities()
            walls.refuse_special_modes()
        os.execve("/bin/sh", ["sh", "-c", order.command], order.environment)
    except BaseException as error:  # noqa: BLE001  a child that was forked must never return
        sys.stderr.write(f"mycelium: the command cannot be started: {error}\n")
        sys.stderr.flush()
        os._exit(126)


def _limit(order: Order) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: order.file_bytes,
        resource.RLIMIT_CPU: int(order.seconds) + 1,
        resource.RLIMIT_NOFILE: 1024,
    }
    if sys.platform == "linux":  # macOS takes it and does not heed it
        wanted[resource.RLIMIT_AS] = order.memory
    if order.walls and walls.counts_by_namespace():
        wanted[resource.RLIMIT_NPROC] = order.processes
    elif not order.walls and os.geteuid() != 0 and sys.platform == "linux":
        # Here the kernel counts all that this user runs, threads too. It never counts root's.
        wanted[resource.RLIMIT_NPROC] = _threads_of_user() + order.processes
    for limit, most in wanted.items():
        _soft, hard = resource.getrlimit(limit)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (value, value))
