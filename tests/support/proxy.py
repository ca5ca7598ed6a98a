"""A door to a server that a test may shut: a TCP proxy whose connections it cuts or lets hang."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from tests.support.redis import free_port


class Proxy:
    """Forwards to a port of this machine."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.accepted = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def open(self) -> None:
        """Take connections, at the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Refuse new connections, and cut those there are."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Reset the connections there are; new ones are welcome."""
        for writer in self._writers:
            writer.transport.abort()

    def hang(self) -> None:
        """Pass nothing on from now, as a network that drops packets does."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(ours)
            try:
                await asyncio.gather(self._pass_on(reader, ours), self._pass_on(theirs, writer))
            finally:
                await self._close(ours)
        except OSError:
            pass  # the other side is gone, and so will be this one
        finally:
            await self._close(writer)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                target.write(data)
                await target.drain()
        target.close()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncGenerator[Proxy]:
    """An open door to this port."""
    proxy = Proxy(port)
    await proxy.open()
    try:
        yield proxy
    finally:
        proxy.flow()
        await proxy.shut()
