"""New ids: short, unique among processes and machines, and in the order they were made within a process."""

from __future__ import annotations

import secrets
import time
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, in the order of its digits, so that ids sort by time."""
PAIRS: Final = [first + second for first in ALPHABET for second in ALPHABET]
BEGINNING: Final = 1_577_836_800_000_000
"""2020, in microseconds since 1970: ten digits then last until 2055."""


class Ids:
    """Makes ids for one process."""

    def __init__(self) -> None:
        self._process = _digits(secrets.randbits(20), 4)
        self._last = 0

    def next(self, prefix: str) -> str:
        """`prefix`, a hyphen, 10 digits of microseconds that never repeat here, and 4 of this process."""
        self._last = max(self._last + 1, time.time_ns() // 1000 - BEGINNING)
        return f"{prefix}-{_digits(self._last, 10)}{self._process}"


def new_name(prefix: str) -> str:
    """A name for something that lives as long as a connection."""
    return f"{prefix}-{_digits(secrets.randbits(30), 6)}"


def _digits(number: int, width: int) -> str:
    """The lowest digits of a number; `width` is even."""
    return "".join([PAIRS[number >> shift & 1023] for shift in range(5 * width - 10, -1, -10)])


new_id: Final = Ids().next
