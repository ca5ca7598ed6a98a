"""Ends a server whose worker was killed: one that does not read its stdin does not notice that by itself.

A program of its own, which `guarded` runs beside each server, and which knows only the standard library. On its stdin
it is told the server's process group. The worker ends it once the server is gone; so if its stdin ends first, the
worker has died. The kernel's own signal for that (Linux's PR_SET_PDEATHSIG) would reach the server alone, and not what
`npx` and its like start in turn; and it would come at once, when a good server is just about to tidy up.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import Final

GRACE: Final = 2.0
"""Seconds for a server to end by itself once its stdin is closed, and again after SIGTERM."""
LOOK: Final = 0.05
"""Seconds between two looks at whether it has."""


def main() -> None:
    """Wait until the worker is gone, and see to it that the server goes, too."""
    told = sys.stdin.buffer.read()
    if told:
        end(int(told))


def end(group: int) -> None:
    """End all processes of this group, as a worker does that lives."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE
        while _is_there(group):
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
                break
            time.sleep(LOOK)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
