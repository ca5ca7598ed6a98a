"""Lines of a byte stream, none of which may be endless."""

from __future__ import annotations

from collections.abc import Iterator


class LineTooLong(ValueError):
    """A line is longer than the limit."""


class Lines:
    """Cuts what comes into lines, and holds `limit` bytes and one chunk at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that end in this chunk, without blank ones.

        Raises:
            LineTooLong: one is over the limit; there is nothing to be had after that.
        """
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            line = self._grown(piece)
            self._rest = bytearray()
            if not line.isspace() and line:
                yield bytes(line)
        self._grown(rest)

    def _grown(self, piece: bytes) -> bytearray:
        self._rest += piece
        if len(self._rest) > self._limit:
            raise LineTooLong
        return self._rest
