"""Serving at a terminal: a person tries it by hand."""

import os
import pty
import signal
import subprocess
import sys
from select import select

PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""


def test_serving_by_hand_is_explained_and_ends_with_ctrl_c() -> None:
    mine, its = pty.openpty()
    command = [sys.executable, "-m", "mycelium_server", "serve", "--backend", "memory:"]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        try:
            assert b"mycelium doctor" in read_until(mine, b"Ctrl-C")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            os.close(mine)


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What appeared at the terminal up to these bytes."""
    seen = b""
    while wanted not in seen:
        assert select([terminal], [], [], PATIENCE)[0], f"only {seen!r}"
        seen += os.read(terminal, 4096)
    return seen
