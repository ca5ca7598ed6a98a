"""The only way out for pages: a proxy on loopback that looks a host up once, checks it, and connects to what it found.

Everything that a page is made of passes here, redirects and a browser's own requests included, and a name that stands
for another address a moment later changes nothing. Each page has a proxy of its own, with a password that only its
client knows.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteReceiveStream, ByteStream, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from mycelium_workbench.addresses import Target, find_target
from mycelium_workbench.errors import NotAllowedAddress, PageTrouble, TooLarge, WorkbenchError

LONGEST_HEAD: Final = 64 * 1024
HEAD_WITHIN: Final = 10.0
"""Seconds for a client, which is on this machine, to say what it wants."""
CONNECTED_WITHIN: Final = 10.0
CHUNK: Final = 64 * 1024
USER: Final = "workbench"
REFUSED_AS: Final = frozenset({407, 502})
"""The answers by which a client learns that the proxy refused, where `Proxy.refused` says why."""

OF_ONE_CONNECTION: Final = ("proxy-", "connection", "keep-alive", "upgrade", "te:")


class Proxy:
    """One page's proxy."""

    def __init__(self, allowed: Collection[tuple[str, int]], most: int) -> None:
        self._allowed = allowed
        self._room = most
        self._most = most
        self.password = secrets.token_urlsafe(24)
        self.port = 0
        self.refused: WorkbenchError | None = None
        """The first thing that was wrong, which its client only sees as a failed connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Proxy]:
        """Serve for the time of this context."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            self.port = listener.extra(SocketAttribute.local_port)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, self._serve)
                try:
                    yield self
                finally:
                    tasks.cancel_scope.cancel()

    async def _serve(self, client: SocketStream) -> None:
        async with client:
            try:
                await self._pass_on(client)
            except WorkbenchError as error:
                self.refused = self.refused or error
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await client.send(b"HTTP/1.1 502 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except (OSError, ValueError, TimeoutError, anyio.EndOfStream):
                pass  # either side went away, or spoke something else: the client sees it as that
            except (
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
                anyio.IncompleteRead,
                anyio.DelimiterNotFound,
            ):
                pass  # as above

    async def _pass_on(self, client: SocketStream) -> None:
        buffered = BufferedByteReceiveStream(client)
        with anyio.fail_after(HEAD_WITHIN):
            head = (await buffered.receive_until(b"\r\n\r\n", LONGEST_HEAD)).decode("latin-1")
        request, *headers = head.split("\r\n")
        if not self._knows(headers):
            await client.send(
                b"HTTP/1.1 407 Who is it?\r\nProxy-Authenticate: Basic realm=workbench\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        method, where, version = request.split(" ")
        if method == "CONNECT":
            name, _, number = where.rpartition(":")  # some clients leave out an IPv6 address's brackets
            async with await self._connected(name.strip("[]"), int(number)) as server:
                await client.send(b"HTTP/1.1 200 Connected\r\n\r\n")
                await self._join(client, buffered, server)
            return
        parts = urlsplit(where)
        if parts.scheme != "http":
            raise NotAllowedAddress(f"{parts.scheme[:20]!r} is no scheme for pages.", hint="Use http or https.")
        host, port = _asked_host(where, headers)
        async with await self._connected(host, port) as server:
            path = parts._replace(scheme="", netloc="").geturl() or "/"
            size = _size(headers)
            await server.send(_head(f"{method} {path} {version}", headers))
            await self._answer(client, buffered, server, size)

    def _knows(self, headers: list[str]) -> bool:
        expected = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        said = [each.partition(":")[2].strip() for each in headers if each.lower().startswith("proxy-authorization:")]
        return len(said) == 1 and hmac.compare_digest(said[0].encode("latin-1"), f"Basic {expected}".encode())

    async def _connected(self, host: str, port: int) -> SocketStream:
        target = await find_target(host, port, self._allowed)
        with anyio.move_on_after(CONNECTED_WITHIN):
            for address in target.addresses:
                with suppress(OSError):
                    return await anyio.connect_tcp(address, target.port)
        raise _no_answer(target)

    async def _answer(
        self, client: SocketStream, buffered: BufferedByteReceiveStream, server: SocketStream, size: int
    ) -> None:
        """Pass on what belongs to this one request, and its answer. Others have a connection of their own."""
        async with anyio.create_task_group() as tasks:

            async def upwards() -> None:
                left = size
                while left:
                    chunk = await buffered.receive(min(left, CHUNK))
                    left -= len(chunk)
                    await server.send(chunk)

            tasks.start_soon(_quietly, upwards)
            await _quietly(lambda: self._downwards(server, client))
            tasks.cancel_scope.cancel()

    async def _downwards(self, server: SocketStream, client: SocketStream) -> None:
        answer = BufferedByteReceiveStream(server)
        status = "100"
        while status.startswith("1"):  # what comes before the answer
            head = (await answer.receive_until(b"\r\n\r\n", LONGEST_HEAD)).decode("latin-1")
            first, *headers = head.split("\r\n")
            status = first.split(" ")[1]
            await client.send(_head(first, headers))
        await self._copy(answer, client, counted=True)

    async def _join(self, client: SocketStream, buffered: BufferedByteReceiveStream, server: SocketStream) -> None:
        """Pass bytes both ways until one side has no more."""
        async with anyio.create_task_group() as tasks:

            async def upwards() -> None:
                if buffered.buffer:
                    await server.send(buffered.buffer)
                await self._copy(client, server, counted=False)

            tasks.start_soon(_quietly, upwards)
            await _quietly(lambda: self._copy(server, client, counted=True))
            tasks.cancel_scope.cancel()

    async def _copy(self, source: ByteReceiveStream, target: ByteStream, *, counted: bool) -> None:
        while True:
            chunk = await source.receive(CHUNK)
            self._room -= len(chunk) if counted else 0
            if self._room < 0:
                self.refused = self.refused or TooLarge(
                    f"The page and what belongs to it have over {self._most} bytes.", hint="Fetch a smaller page."
                )
                return
            await target.send(chunk)


async def _quietly(copy: Callable[[], Awaitable[None]]) -> None:
    gone = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
    with suppress(*gone, anyio.IncompleteRead, anyio.DelimiterNotFound, IndexError):
        await copy()


def _head(first: str, headers: list[str]) -> bytes:
    """A request's or an answer's head without what concerns one connection; both ways, this one ends with it."""
    kept = [each for each in headers if not each.lower().startswith(OF_ONE_CONNECTION)]
    return "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1")


def _size(headers: list[str]) -> int:
    """How much belongs to a request after its head.

    Raises:
        ValueError: it cannot be told, or not in one way only.
    """
    if any(each.startswith((" ", "\t")) or each.lower().startswith("transfer-encoding") for each in headers):
        raise ValueError("lines that go on, or a body of unknown size")
    said = {each.partition(":")[2].strip() for each in headers if each.lower().startswith("content-length")}
    size = int(said.pop()) if said else 0
    if said or size < 0:
        raise ValueError("more than one size")
    return size


def _asked_host(url: str, headers: list[str]) -> tuple[str, int]:
    """The host of an address; some clients write an IPv6 address there without its brackets, and with them below."""
    try:
        return _host_and_port(url, 80)
    except ValueError:
        said = [each.partition(":")[2].strip() for each in headers if each.lower().startswith("host:")]
        if len(said) != 1:
            raise
        return _host_and_port(f"//{said[0]}", 80)


def _host_and_port(url: str, default: int) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or default


def _no_answer(target: Target) -> PageTrouble:
    return PageTrouble(f"{target.host[:200]}:{target.port} does not answer.", hint="Check the address, or try later.")
