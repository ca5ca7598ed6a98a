"""A command's process: run through a keeper, fed, listened to, and ended when its time is up."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio.abc import Process

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import ToolFailed
from mycelium_workbench.hidden import none_made
from mycelium_workbench.orders import order, reported

GRACE: Final = 1.0
"""Seconds between asking a command to end and ending it."""
LAST: Final = 5.0
"""Seconds for its keeper to clear up; then that is ended, too."""
FLOOD: Final = 256
"""So many times what is kept of a command's output it may write until it is stopped."""


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
    stopped: str | None = None
    """Why it had to be stopped, if it had to: time, output, memory or processes."""
    failed: str | None = None
    """Why there are no walls for it, if that is why it did not run."""
    aside: str | None = None
    """How a `.mycelium` is called now that was made meanwhile."""

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


async def run(bench: Bench, command: str, folder: str, stdin: bytes, limit: float, *, walled: bool) -> Ran:
    """Run a command in a folder to its end, or for as many seconds as `limit` says.

    Raises:
        ToolFailed: no process can be started.
        Protected: what must stay hidden cannot be.
    """
    ran = Ran(Output(bench.limits.output_bytes))
    started = time.monotonic()
    with none_made(bench.folder.root, bench.folder.fd) as aside:
        async with _keeper(bench, command, folder, limit, walled=walled) as (process, report):
            why = await _attend(process, stdin, ran.output, limit)
            said = reported(report)
    ran.aside = aside[0] if aside else None
    ran.seconds = time.monotonic() - started
    ran.exit_code = said.get("exit_code")
    ran.stopped = why or said.get("stopped")
    ran.failed = said.get("failed")
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
                    order(bench, command, folder, covered, limit, home, written, walled=walled),
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
