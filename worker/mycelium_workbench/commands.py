"""`run_command`: a shell's command behind walls, for a limited time."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
from anyio.abc import Process
from mcp_types import ToolAnnotations
from pydantic import Field

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import (
    InvalidInput,
    NoWalls,
    Protected,
    TimedOut,
    TooLarge,
    ToolFailed,
    TooManyProcesses,
    TooMuchMemory,
    TooMuchOutput,
    WorkbenchError,
)
from mycelium_workbench.helper import words
from mycelium_workbench.hidden import NAME, none_made
from mycelium_workbench.registry import Number, tool
from mycelium_workbench.reply import Reply

GRACE: Final = 1.0
"""Seconds between asking a command to end and ending it."""
LAST: Final = 5.0
"""Seconds for its keeper to clear up; then that is ended, too."""
LONGEST_COMMAND: Final = 100_000
"""Bytes: the kernel takes no argument over 128 KiB."""
LONGEST_STDIN: Final = 1024 * 1024
FLOOD: Final = 256
"""So many times what is kept of a command's output it may write until it is stopped."""

REPORTED: Final[Mapping[str, tuple[type, ...]]] = {
    "exit_code": (int,),
    "stopped": (str, type(None)),
    "failed": (str,),
}
"""What a keeper says of a command."""


@tool(ToolAnnotations(destructive_hint=True))
async def run_command(
    bench: Bench,
    command: str,
    cwd: Annotated[str, Field(description="Relative to the root")] = ".",
    seconds: Annotated[Number | None, Field(description="Time limit", gt=0)] = None,
    stdin: str = "",
) -> Reply:
    """Run a shell command in the folder. Its processes end with it; background ones are not kept. {holds}."""
    _check(command, stdin)
    limit = min(seconds or bench.limits.seconds, bench.limits.seconds)
    where = bench.folder.check_folder(cwd)
    walled = await bench.walled()
    folder = str(bench.folder.root if where == "." else bench.folder.root / where)
    async with bench.commands:
        ran = await _run(bench, command, folder, stdin.encode("utf-8", "surrogatepass"), limit, walled=walled)
    if ran.error is not None:
        raise ran.error
    return _reply(ran, bench.first_words(), _limit_met(ran.exit_code or 0, bench, limit))


def _check(command: str, stdin: str) -> None:
    if not command.strip():
        raise InvalidInput("The command is empty.", hint="Pass what a shell would take.")
    if "\0" in command:
        raise InvalidInput("The command has a NUL character in it.", hint="Pass data as stdin.")
    if len(command.encode("utf-8", "surrogatepass")) > LONGEST_COMMAND:
        raise TooLarge(f"The command has over {LONGEST_COMMAND} bytes.", hint="Write a script, and run that.")
    if len(stdin) > LONGEST_STDIN:
        raise TooLarge(f"stdin has over {LONGEST_STDIN} characters.", hint="Write a file, and read it from there.")


class Output:
    """The beginning and the end of what a command writes; what is between is counted, not kept."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self._half = kept // 2
        self._head, self._tail = bytearray(), bytearray()
        self.size = 0

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[max(room, 0) :]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def left_out(self) -> int:
        return max(0, self.size - 2 * self._half)

    def text(self) -> str:
        tail = self._tail[-self._half :]
        if not self.left_out:
            return (self._head + tail).decode(errors="replace")
        said = f"\n… {self.left_out} bytes left out …\n"
        return self._head.decode(errors="replace") + said + tail.decode(errors="replace")


@dataclass
class Ran:
    """How a command went."""

    output: Output
    seconds: float = 0.0
    exit_code: int | None = None
    error: WorkbenchError | None = None

    def data(self) -> dict[str, Any]:
        return {
            "exit_code": self.exit_code,
            "output": self.output.text(),
            "output_bytes": self.output.size,
            "left_out": self.output.left_out,
            "seconds": round(self.seconds, 3),
        }


async def try_walls(bench: Bench) -> str:
    """Why a command cannot be walled in here; empty if it can. It is tried, with a command that does nothing."""
    if sys.platform != "linux":
        return "only Linux has them"
    try:
        async with _keeper(bench, "exit 0", str(bench.folder.root), 5.0, walled=True) as (process, report):
            with anyio.fail_after(10.0):
                await process.wait()
            said = reported(report)
    except TimeoutError:
        return "trying took too long"
    return "" if said.get("exit_code") == 0 else str(said.get("failed", "the trial failed"))


async def _run(bench: Bench, command: str, folder: str, stdin: bytes, limit: float, *, walled: bool) -> Ran:
    ran = Ran(Output(bench.limits.output_bytes))
    started = time.monotonic()
    with none_made(bench.folder.root, bench.folder.fd) as aside:
        async with _keeper(bench, command, folder, limit, walled=walled) as (process, report):
            why = await _attend(process, stdin, ran.output, limit)
            said = reported(report)
    ran.seconds = time.monotonic() - started
    ran.exit_code = said.get("exit_code")
    ran.error = _set_aside(aside, ran) or _error(why or said.get("stopped"), said, ran, bench, limit)
    return ran


async def _attend(process: Process, stdin: bytes, output: Output, limit: float) -> str | None:
    """Feed the command and take what it writes until all of it has ended; say why it had to be stopped, if so."""
    why = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_feed, process, stdin)
        with anyio.move_on_after(limit) as patience:
            if not await _read(process, output, FLOOD * output.kept):
                why = "output"
        if patience.cancelled_caught:
            why = "time"
            await _ask_to_end(process, output)
        if why is not None:
            await _end(process, output)
        else:
            await process.wait()
        tasks.cancel_scope.cancel()
    return why


async def _feed(process: Process, stdin: bytes) -> None:
    assert process.stdin is not None
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        if stdin:
            await process.stdin.send(stdin)
        await process.stdin.aclose()


async def _read(process: Process, output: Output, most: float = math.inf) -> bool:
    """Take output until it ends, which is when everything has; False once there is too much of it."""
    assert process.stdout is not None
    async for chunk in process.stdout:
        output.add(chunk)
        if output.size > most:
            return False
    return True


async def _ask_to_end(process: Process, output: Output) -> None:
    _signal(process, signal.SIGTERM)
    with anyio.move_on_after(GRACE):
        await _read(process, output)


async def _end(process: Process, output: Output) -> None:
    _signal(process, signal.SIGUSR1)
    with anyio.move_on_after(LAST):
        await _read(process, output)


def _signal(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:  # else its number may be another's by now
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


@asynccontextmanager
async def _keeper(
    bench: Bench, command: str, folder: str, limit: float, *, walled: bool
) -> AsyncGenerator[tuple[Process, int]]:
    """The command's keeper, started; it and everything under it has ended when this context does."""
    covered = await anyio.to_thread.run_sync(bench.covered) if walled else []
    report, written = os.pipe()
    try:
        with tempfile.TemporaryDirectory(prefix="mycelium-", ignore_cleanup_errors=True) as home:
            try:
                process = await anyio.open_process(
                    _words(bench, command, folder, covered, limit, home, written, walled=walled),
                    stderr=subprocess.STDOUT,  # in the order in which it was written
                    env={},
                    cwd="/",
                    start_new_session=True,
                    pass_fds=[written, bench.folder.fd],
                )
            except OSError as error:
                raise ToolFailed(f"No process can be started: {error}.", hint="Try later.") from error
            finally:
                os.close(written)
            try:
                yield process, report
            finally:
                with anyio.CancelScope(shield=True):
                    # Behind walls all end with the keeper. Without, only it can end them, and must have its time.
                    _signal(process, signal.SIGKILL if walled else signal.SIGUSR1)
                    await process.wait()
                    await process.aclose()
    finally:
        os.close(report)


def _words(
    bench: Bench,
    command: str,
    folder: str,
    covered: list[str],
    limit: float,
    home: str,
    report: int,
    *,
    walled: bool,
) -> list[str]:
    settings, limits = bench.settings, bench.limits
    order = {
        "command": command,
        "folder": folder,
        "root": str(settings.root),
        "root_fd": bench.folder.fd,
        "environment": _environment(home, walled=walled),
        "readable": [*_interpreter(), *(str(each) for each in settings.readable)],
        "guarded": bench.guarded,
        "hidden": covered,
        "walls": walled,
        "network": settings.network,
        "seconds": limit,
        "memory": limits.memory_bytes,
        "processes": limits.processes,
        "file_bytes": limits.command_file_bytes,
        "report": report,
        "parent": os.getpid(),
    }
    return words("keeper", json.dumps(order))


def _interpreter() -> list[str]:
    """Where this Python and what is installed beside it lie, which commands may want."""
    return list(dict.fromkeys(os.path.realpath(each) for each in (sys.base_prefix, sys.prefix) if each != "/usr"))


def _environment(home: str, *, walled: bool) -> Mapping[str, str]:
    """All that a command gets to know: nothing of what this process was told."""
    from mycelium_workbench.walls import HOME

    return {
        # This Python comes last, for where those of the path are out of sight.
        "PATH": ":".join([os.environ.get("PATH") or os.defpath, *(f"{each}/bin" for each in _interpreter())]),
        "HOME": HOME if walled else home,
        "TMPDIR": "/tmp" if walled else home,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }


def reported(fd: int) -> dict[str, Any]:
    """What a keeper said, as far as it is of the types that it says; nothing if it is nothing."""
    os.set_blocking(fd, False)
    with suppress(BlockingIOError, ValueError, TypeError, AttributeError):
        said: Mapping[str, Any] = json.loads(os.read(fd, 4096))
        return {name: value for name, value in said.items() if name in REPORTED and type(value) in REPORTED[name]}
    return {}


def _set_aside(names: list[str], ran: Ran) -> WorkbenchError | None:
    if not names:
        return None
    return Protected(
        f"{NAME} was made while the command ran; it is called {names[0]} now.",
        hint="Mycelium keeps its configuration under that name: use another.",
        **ran.data(),
    )


def _error(why: str | None, said: Mapping[str, Any], ran: Ran, bench: Bench, limit: float) -> WorkbenchError | None:
    limits, data = bench.limits, ran.data()
    match why:
        case "time":
            return TimedOut(
                f"The command ran for over {limit:g} s and was stopped.",
                hint=f"Do less at a time, or pass more seconds (up to {limits.seconds:g}).",
                **data,
            )
        case "output":
            return TooMuchOutput(
                "The command wrote without end and was stopped.", hint="Write to a file, or less.", **data
            )
        case "memory":
            return TooMuchMemory(
                f"The command used over {limits.memory_mb} MiB and was stopped.", hint="Do less at a time.", **data
            )
        case "processes":
            return TooManyProcesses(
                f"The command had over {limits.processes} processes and was stopped.", hint="Start fewer.", **data
            )
        case _ if "failed" in said:
            return NoWalls(f"The command could not be walled in: {said['failed']}.", hint="Try again.")
        case _ if ran.exit_code is None:
            return ToolFailed("The command's keeper was ended from outside.", hint="Try again.", **data)
        case _:
            return None


def _limit_met(code: int, bench: Bench, limit: float) -> str:
    """Which of the kernel's limits ended the command, as its exit code tells, its shell's or its own."""
    match -code if code < 0 else code - 128:
        case signal.SIGXFSZ:
            return f" (a file would have over {bench.limits.command_file_mb} MiB: --command-file-mb sets the limit)"
        case signal.SIGXCPU:
            return f" (it used over {limit:g} s of a processor's time)"
        case _:
            return ""


def _reply(ran: Ran, first: str, limit_met: str) -> Reply:
    code = ran.exit_code or 0
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    how += limit_met
    output = ran.output.text()
    lines = [*([first] if first else []), f"{how}, {ran.seconds:.1f} s", output]
    data = ran.data() | ({"walls": first} if first else {})
    return Reply("\n".join(lines).rstrip("\n") if output else "\n".join(lines[:-1]), data)
