"""Executors as another package brings them, for the worker processes of these tests."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import anyio
from pydantic import JsonValue

from mycelium_worker.attempt import Attempt
from mycelium_worker.executor import TaskFailed
from mycelium_worker.patience import insist

ENTRY_POINTS = """
[mycelium.executors]
note = tests.network.executors:note
wait = tests.network.executors:wait
break = tests.network.executors:break_down
kill = tests.network.executors:kill
"""


async def note(attempt: Attempt) -> Mapping[str, JsonValue]:
    """Tell with which lease it was begun, and work for as long as the payload says."""
    task = attempt.task
    await insist(lambda: attempt.tell("attempt.began", token=task.token), what=f"telling of {task.id}")
    seconds = task.payload.get("seconds", 0)
    assert isinstance(seconds, int | float)
    await anyio.sleep(seconds)  # this is the work, not a wait for something
    return {"token": task.token, "by": attempt.client.agent}


async def wait(attempt: Attempt) -> Mapping[str, JsonValue]:
    """Until the file that the payload names is there; tells of its beginning in the log."""
    await attempt.tell("attempt.began", token=attempt.task.token)
    until = anyio.Path(str(attempt.task.payload["until"]))
    while not await until.exists():  # noqa: ASYNC110 - another process makes it
        await anyio.sleep(0.02)
    return {"by": attempt.client.agent}


async def break_down(attempt: Attempt) -> Mapping[str, JsonValue]:
    """Fail, unless the file that the payload names is there."""
    if await anyio.Path(str(attempt.task.payload["unless"])).exists():
        return {"by": attempt.client.agent}
    raise TaskFailed(f"attempt {attempt.task.attempt} went wrong", code="broken")


async def kill(attempt: Attempt) -> Mapping[str, JsonValue]:
    """Take the whole worker down, unless the file that the payload names is there."""
    if not await anyio.Path(str(attempt.task.payload["unless"])).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return {"by": attempt.client.agent}


def install_executors(folder: Path) -> Path:
    """Make a folder that Python takes for an installed package, once it is in its path."""
    info = folder / "test_executors-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: test-executors\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder
