"""Does one commit again and again, in processes that are killed before their first, second, third … file operation.

    python -m tests.backends.markdown_crash FOLDER [MOST]

FOLDER/template is a store at rest; FOLDER/<n> becomes a copy of it whose process was killed before operation n. Beside
it lies FOLDER/<n>.acked if the commit was acknowledged. Ends when a process was not killed any more.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from mycelium.rules import complete_task
from mycelium_backends.markdown import open_backend

NOW = datetime(2030, 1, 1, 0, 1, tzinfo=UTC)
HOOKED = {"open", "os.rename", "os.remove", "os.truncate"}
"""What Python itself tells of before it does it."""


class Countdown:
    """Kills this process when it comes to its end."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def count(countdown: Countdown) -> None:
    """Have every file operation counted; a write also when half of it is done."""

    def hook(event: str, _arguments: object) -> None:
        if event in HOOKED:
            countdown.step()

    def counted(do: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: object) -> object:
            countdown.step()
            return do(*arguments)

        return act

    def halves(fd: int, data: bytes, at: int) -> int:
        countdown.step()
        half = pwrite(fd, data[: len(data) // 2], at)
        countdown.step()
        return half + pwrite(fd, data[half:], at + half)

    pwrite = os.pwrite
    os.pwrite = halves
    os.fdatasync = counted(os.fdatasync)
    os.fsync = counted(os.fsync)
    sys.addaudithook(hook)


async def complete(folder: Path, countdown: Countdown, operation: int) -> None:
    """Complete the task `w.a`: it, the task that waits on it and the log are written."""
    store = await open_backend(f"markdown:{folder}", lambda: NOW)
    countdown.left = operation
    await store.commit(lambda view: complete_task(view, "w.a", token=1, result={"n": 1}))
    countdown.left = None
    folder.with_suffix(".acked").touch()
    os._exit(0)


async def reopen(folder: Path, countdown: Countdown, operation: int) -> None:
    """Open a store that was left in the middle, and be killed at that."""
    countdown.left = operation
    store = await open_backend(f"markdown:{folder}", lambda: NOW)
    countdown.left = None
    await store.aclose()
    os._exit(0)


def killed(act: Callable[[Path, Countdown, int], Any], folder: Path, operation: int) -> bool:
    """Whether a process of its own was killed while it did this."""
    child = os.fork()
    if child == 0:
        countdown = Countdown()
        count(countdown)
        anyio.run(act, folder, countdown, operation)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"operation {operation} failed")
    return os.WIFSIGNALED(status)


def main(place: Path, most: int, again: int) -> None:
    for operation in range(most):
        folder = place / str(operation)
        shutil.copytree(place / "template", folder)
        if not killed(complete, folder, operation):
            return
        for second in range(0, most, again) if again else ():
            copy = place / f"{operation}-{second}"
            shutil.copytree(folder, copy)
            if not killed(reopen, copy, second):
                break
    raise SystemExit("it never got through")


if __name__ == "__main__":
    main(Path(sys.argv[1]), 200, int(sys.argv[2]))
