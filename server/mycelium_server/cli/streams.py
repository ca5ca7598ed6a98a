"""Standard streams that were closed, or fail, before or while a command runs."""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper
from typing import Final

from mycelium.errors import InvalidInput

LOST: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
"""What writing to stdout may end with, besides a reader that has left."""


def ready_streams() -> None:
    """Make all three streams usable, whatever the terminal can show, and also where they were closed.

    Nothing comes from a closed stdin, and writing to a closed stdout fails, as on a full disk. Their descriptors are
    taken, so that no file of a store gets the number of a stream.
    """
    if sys.__stdin__ is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    if sys.__stdout__ is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.__stderr__ is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no terminal is too old to show a title


def give_up_stdout() -> None:
    """Let what stdout did not take vanish: Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def lost_output(error: OSError) -> InvalidInput | None:
    """What to say of stdout that took no more, or None where the error is of something else, or of a named file."""
    if error.errno not in LOST or error.filename is not None:
        return None
    return InvalidInput(f"stdout: {error.strerror}.", hint="Send the output elsewhere.", file="-")
