"""A server that is reached over streamable HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from mycelium_worker.servers.spec import HttpServer
from mycelium_worker.servers.wires.gate import Gate
from mycelium_worker.servers.wires.wire import LARGEST, NOT_SENT, Arriving, End, Leaving, Wire

TIMEOUT = httpx2.Timeout(30.0, read=None)
"""Calls are bounded by whoever makes them, and a stream of news is silent for long."""
LIMITS = httpx2.Limits(max_connections=None)


@asynccontextmanager
async def http_wire(server: HttpServer) -> AsyncGenerator[Wire]:
    """Speak with the server; on leaving, tell it so where it keeps a session."""
    end = End()
    gate = Gate(server.name)
    arriving, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sent, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    with arriving, received, sent, leaving:
        async with (
            _Http(server, end) as http,
            streamable_http_client(server.url, http_client=http, max_sse_event_size=LARGEST) as (incoming, outgoing),
            anyio.create_task_group() as tasks,
        ):

            async def listen(arriving: Arriving) -> None:
                with arriving:
                    async for item in incoming:
                        if isinstance(item, Exception) or await gate.arriving(item, 0):
                            await arriving.send(item)
                    end.come("closed the connection")

            async def speak(leaving: Leaving) -> None:
                async for message in leaving:
                    gate.leaving(message)
                    await outgoing.send(message)

            tasks.start_soon(_quietly, listen, arriving)
            tasks.start_soon(_quietly, speak, leaving)
            try:
                yield Wire(streams=(received, sent), end=end)
            finally:
                tasks.cancel_scope.cancel()


async def _quietly(talk: Any, stream: Arriving | Leaving) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the other side has gone
        await talk(stream)


class _Http(httpx2.AsyncClient):
    """A client that takes in so much and no more, and answers by itself for a server that it cannot reach.

    The SDK's transport would otherwise end at the first connection that fails, and not say why.
    """

    def __init__(self, server: HttpServer, end: End) -> None:
        headers = {**server.headers, "accept-encoding": "identity"}
        super().__init__(headers=headers, timeout=TIMEOUT, limits=LIMITS)
        self._end = end

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except httpx2.HTTPError as error:
            return self._failed(request, error)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            return _refusal(request, "it packs its answers, which it was asked not to do")
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = _Bounded(response.stream)
        return response

    def _failed(self, request: httpx2.Request, error: httpx2.HTTPError) -> httpx2.Response:
        before = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol)
        said = str(error) or type(error).__name__
        self._end.come(f"cannot be reached: {said}" if before else f"broke off: {said}")
        return _refusal(request, said, NOT_SENT if before else None)


def _refusal(request: httpx2.Request, said: str, data: str | None = None) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": said, "data": data}}
    content = json.dumps(error).encode()
    return httpx2.Response(503, headers={"content-type": "application/json"}, content=content, request=request)


class _Bounded(httpx2.AsyncByteStream):
    """A body that may not be endless."""

    def __init__(self, body: Any) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._body:
            size += len(piece)
            if size > LARGEST:
                raise httpx2.StreamError(f"it is larger than {LARGEST // 2**20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
