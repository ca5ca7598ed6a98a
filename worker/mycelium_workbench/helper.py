"""Programs of our own that are run beside the server: what they do can take for ever, and is then ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from anyio.abc import Process

PACKAGES: Final = str(Path(__file__).parents[1])


def words(program: Literal["keeper", "reader", "searcher"], argument: str) -> list[str]:
    """The command line of one of them, which sees this package and the standard library."""
    start = (
        f"import sys; sys.path.insert(0, sys.argv[1]); from mycelium_workbench.{program} import main; main(sys.argv[2])"
    )
    return [sys.executable, "-I", "-S", "-c", start, PACKAGES, argument]


def end(process: Process) -> None:
    """Kill it if it still runs.

    Not by its own `kill`, which asks for its status first: asyncio then waits in vain for that of one that has just
    ended, and takes it for 255.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
