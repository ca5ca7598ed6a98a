"""Keeps commands from making files that run as whoever owns them (setuid, setgid): those would outlive the walls.

A mount without setuid holds only in there; on the machine the file is what its mode says, and root's if root made it.
So the kernel is given a filter (seccomp) that refuses such modes wherever a file gets one. Knows only the standard
library.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass
from typing import Final

SPECIAL: Final = 0o6000
"""The bits of a mode that are refused."""
MAKES: Final = 0o100 | 0o20000000
"""Flags of opening with which the mode counts: O_CREAT and what O_TMPFILE adds."""
LOAD, EQUAL, ANY_OF, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
ALLOWED: Final = 0x7FFF0000
REFUSED: Final = 0x00050000 | errno.EPERM
ABSENT: Final = 0x00050000 | errno.ENOSYS
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16


@dataclass(frozen=True)
class Machine:
    """A processor's system calls that give a file its mode."""

    architecture: int
    modes: dict[int, int]
    """By number, which argument is the mode;"""
    opens: dict[int, tuple[int, int]]
    """and here which are the flags and the mode."""


MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E,
        {85: 1, 90: 1, 91: 1, 133: 1, 259: 2, 268: 2, 452: 2},  # creat, (f)chmod, mknod(at), fchmodat(2)
        {2: (1, 2), 257: (2, 3)},  # open, openat
    ),
    "aarch64": Machine(0xC00000B7, {33: 2, 52: 1, 53: 2, 452: 2}, {56: (2, 3)}),
}
UNSEEN: Final = (425, 437)
"""io_uring_setup and openat2, which say the mode where a filter cannot look: programs do without them."""
OTHER_NUMBERS: Final = 0x40000000
"""From here on x86_64 has the same calls again, under other numbers (x32)."""


def are_held() -> bool:
    """Whether this processor's calls are known here."""
    return platform.machine() in MACHINES


def program() -> bytes:
    """The filter for this processor."""
    machine = MACHINES[platform.machine()]
    steps = [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, machine.architecture, 1, 0),
        _step(RETURN, ABSENT),
        _step(LOAD, NUMBER),
        _step(AT_LEAST, OTHER_NUMBERS, 0, 1),
        _step(RETURN, ABSENT),
    ]
    for number in UNSEEN:
        steps += _if_called(number, [_step(RETURN, ABSENT)])
    for number, mode in machine.modes.items():
        steps += _if_called(number, _look_at(mode))
    for number, (flags, mode) in machine.opens.items():
        steps += _if_called(number, [_argument(flags), _step(ANY_OF, MAKES, 0, 2), *_look_at(mode)])
    return b"".join([*steps, _step(RETURN, ALLOWED)])


def _if_called(number: int, then: list[bytes]) -> list[bytes]:
    return [_step(LOAD, NUMBER), _step(EQUAL, number, 0, len(then)), *then]


def _look_at(mode: int) -> list[bytes]:
    return [_argument(mode), _step(ANY_OF, SPECIAL, 1, 0), _step(RETURN, ALLOWED), _step(RETURN, REFUSED)]


def _argument(index: int) -> bytes:
    return _step(LOAD, ARGUMENTS + 8 * index)


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)
