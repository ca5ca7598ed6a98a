"""What a connection to a server is made of, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams  # the SDK has no public name for a pair of streams

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of the longest message that is read."""

Received = MemoryObjectReceiveStream[SessionMessage | Exception]
Arriving = MemoryObjectSendStream[SessionMessage | Exception]
Leaving = MemoryObjectReceiveStream[SessionMessage]
Sent = MemoryObjectSendStream[SessionMessage]


class Unreachable(Exception):
    """The server cannot be started or reached, and why: the end of a sentence that begins with it."""


class End:
    """Whether a connection is over, and why: the end of a sentence that begins with the server."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.why = ""

    @property
    def has_come(self) -> bool:
        return self._event.is_set()

    def come(self, why: str) -> None:
        """It is over. Of several reasons the first counts."""
        if not self.has_come:
            self.why = why
            self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection: what the SDK's client speaks through, and when it is over."""

    streams: TransportStreams
    end: End = field(default_factory=End)


NOT_SENT: Final = "not sent"
"""The data of an error after which nothing can have happened at the server."""
