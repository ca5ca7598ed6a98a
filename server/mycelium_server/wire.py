"""The two ends of a newline-delimited JSON-RPC connection, straight on non-blocking descriptors.

`Inbox` and `Outbox` are the streams that `mcp.server.lowlevel.Server.run` takes. They work from the event
loop's own readiness callbacks: no thread, no task and no queue stands between a descriptor and the server.
"""

from __future__ import annotations

import asyncio
import os
import stat
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from mycelium_server.framing import Line, LineSplitter, parse_line, refuse_line, write_line

_CHUNK = 64 * 1024  # what a pipe holds on Linux
_HELD_BYTES = 1024 * 1024  # lines read ahead of the server before reading pauses
_WAITING_SENDS = 1000  # answers a client may leave unread before reading pauses
_ENDLESS = frozenset({"subscriptions/listen"})  # answered only when its client cancels it
_GRACE = 1.0  # seconds for requests at work when the client closes its end


class _Stream(ABC):
    """What both ends share: to be left is to be closed."""

    @abstractmethod
    async def aclose(self) -> None:
        """Be closed."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


class Outbox(_Stream):
    """Sends messages as lines, each whole and in the order of the calls.

    `send` returns when the kernel has the whole line, so a client that does not read holds up the senders and
    nothing piles up here. When the client is lost, `send` raises `anyio.BrokenResourceError`, and `on_lost`
    is called once.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._rest = memoryview(b"")
        self._waiting = 0
        self._owed: set[RequestId] = set()
        self._lost = self._closed = False
        self.on_lost: Callable[[], None] = lambda: None
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            # A pipe's write end turns readable when its reader has gone. A socket also does when data comes.
            self._loop.add_reader(fd, self.lose)

    async def send(self, item: SessionMessage, /) -> None:
        self._waiting += 1
        try:
            async with self._turn:
                await self.flush()  # what a sender that was cancelled half way left behind
                if (line := write_line(item.message)) is not None:
                    self._put(line)
                await self.flush()
        finally:
            self._waiting -= 1
            self._settle(item.message)
            self._changed.set()

    def _put(self, line: bytes) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        self._rest = memoryview(line)
        self._write_some()
        if self._rest:
            self._loop.add_writer(self._fd, self._write_more)

    def _write_some(self) -> None:
        try:
            self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self.lose()

    def _write_more(self) -> None:
        self._write_some()
        if not self._rest:
            self._loop.remove_writer(self._fd)
            self._changed.set()

    async def flush(self) -> None:
        """Wait until the kernel has everything that was sent."""
        await self._until(lambda: not self._rest)
        if self._lost:
            raise anyio.BrokenResourceError

    async def ready_for_more(self) -> None:
        """Wait until the client has read enough of its answers to be given more."""
        await self._until(lambda: self._waiting < _WAITING_SENDS)

    async def all_answered(self) -> None:
        """Wait until every request noted by `owe` has had its answer."""
        await self._until(lambda: not self._owed)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def owe(self, message: JSONRPCMessage) -> None:
        """Take note of a request that waits for its answer, or of its cancellation."""
        match message:
            case JSONRPCRequest(method=method, id=request_id) if method not in _ENDLESS:
                self._owed.add(request_id)
            case JSONRPCNotification(method="notifications/cancelled", params={"requestId": int() | str() as gone}):
                self._owed.discard(gone)
            case _:
                pass

    def _settle(self, message: JSONRPCMessage) -> None:
        match message:
            case JSONRPCResponse(id=request_id) | JSONRPCError(id=int() | str() as request_id):
                self._owed.discard(request_id)
            case _:
                pass

    def lose(self) -> None:
        """Take note that nobody reads the other end any more; what was not yet written is dropped."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        if not self._lost:
            self._lost, self._rest = True, memoryview(b"")
            self._owed.clear()
            self._changed.set()
            self.on_lost()

    async def aclose(self) -> None:
        self._closed = True


class Inbox(_Stream):
    """Yields the client's messages; a line that is no message comes as the exception that says why.

    Such a line is also answered with a JSON-RPC error, so that its sender does not wait in vain. Reading
    pauses while the server is behind, or while the client leaves its answers unread. The stream ends when the
    client has closed its end (after up to a second for requests still at work) or was lost.
    """

    def __init__(self, fd: int, outbox: Outbox) -> None:
        self._fd = fd
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._splitter = LineSplitter()
        self._lines: deque[Line] = deque()
        self._changed = asyncio.Event()
        self._reading = self._ended = self._closed = False
        self._held = 0
        outbox.on_lost = self.end

    async def receive(self) -> SessionMessage | Exception:
        await self._outbox.ready_for_more()
        while not self._lines:
            if self._closed:
                raise anyio.ClosedResourceError
            if self._ended:
                await self._let_requests_finish()
                raise anyio.EndOfStream
            self._read_on()
            self._changed.clear()
            await self._changed.wait()
        line = self._lines.popleft()
        item = parse_line(line)
        self._held -= len(line)
        if isinstance(item, SessionMessage):
            self._outbox.owe(item.message)
        else:
            await self._refuse(line)
        return item

    async def _refuse(self, line: Line) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._outbox.send(SessionMessage(refuse_line(line)))

    async def _let_requests_finish(self) -> None:
        # A script that pipes requests in closes its end before the answers are out.
        with anyio.move_on_after(_GRACE):
            await self._outbox.all_answered()

    def _read_on(self) -> None:
        if not self._reading and not self._ended:
            self._reading = True
            self._loop.add_reader(self._fd, self._read_some)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def _read_some(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""  # a socket that was reset: as good as closed
        self._take(self._splitter.feed(chunk) if chunk else self._splitter.end())
        if not chunk:
            self.end()
        elif self._held > _HELD_BYTES:
            self._pause()

    def _take(self, lines: Iterator[Line]) -> None:
        for line in lines:
            self._lines.append(line)
            self._held += len(line)
        if self._lines:
            self._changed.set()

    def end(self) -> None:
        """Read no more; what was read is still given out."""
        self._pause()
        self._ended = True
        self._changed.set()

    async def aclose(self) -> None:
        self._closed = True
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
