"""A server that is a child process, spoken to over its pipes.

The SDK's own transport reads a line of any length whole, and goes through all of it again for each piece that comes;
it lets a server write to our stderr, and does not say how it ended. Hence this one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from mycelium_worker.servers.spec import StdioServer
from mycelium_worker.servers.wires.child import Child
from mycelium_worker.servers.wires.gate import Gate
from mycelium_worker.servers.wires.guarded import Guard, guarded
from mycelium_worker.servers.wires.lines import Lines, LineTooLong
from mycelium_worker.servers.wires.stderr import pass_on_stderr
from mycelium_worker.servers.wires.wire import LARGEST, Arriving, End, Leaving, Received, Sent, Wire

log = logging.getLogger("mycelium.worker.servers")

CHUNK: Final = 64 * 1024


@asynccontextmanager
async def stdio_wire(server: StdioServer) -> AsyncGenerator[Wire]:
    """Start the server; on leaving, end it and whatever it has started, within seconds; also if this process is killed.

    Raises:
        Unreachable: it cannot be started.
    """
    async with guarded() as guard, _spoken_to(server, guard) as wire:
        yield wire


@asynccontextmanager
async def _spoken_to(server: StdioServer, guard: Guard) -> AsyncGenerator[Wire]:
    child = await Child.start(server)
    arriving, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sent, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    conversation = _Conversation(server.name, child)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.listen, arriving)
            tasks.start_soon(conversation.speak, leaving)
            tasks.start_soon(pass_on_stderr, server.name, child.stderr)
            try:
                await guard.watch(child.group)
                yield Wire(streams=(received, sent), end=conversation.end)
            finally:
                with anyio.CancelScope(shield=True):
                    await child.stop(patiently=not conversation.floods)
                tasks.cancel_scope.cancel()
    finally:
        child.close()
        _close(arriving, received, sent, leaving)


def _close(*streams: Arriving | Received | Sent | Leaving) -> None:
    for stream in streams:
        stream.close()


class _Conversation:
    """Both ways of talking to a child, and how it came to an end."""

    def __init__(self, name: str, child: Child) -> None:
        self._name = name
        self._child = child
        self._gate = Gate(name)
        self.end = End()
        self.floods = False

    async def listen(self, arriving: Arriving) -> None:
        """Pass on what it says, until it says no more."""
        lines = Lines(LARGEST)
        with arriving:
            try:
                while chunk := await self._child.stdout.read(CHUNK):
                    for line in lines.feed(chunk):
                        await self._hear(line, arriving)
                self.end.come(await self._child.how_it_ended())
            except LineTooLong:
                self.floods = True
                self.end.come(f"sent a message of more than {LARGEST // 2**20} MiB and was stopped")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # nobody listens any more
            except OSError as error:
                self.end.come(f"cannot be read from: {error.strerror}")
        if not self.floods:
            await self._drain()

    async def _drain(self) -> None:
        """Let a child that is ending say its last words, which it may be stuck on."""
        while await self._child.stdout.read(CHUNK):
            await anyio.lowlevel.checkpoint()

    async def _hear(self, line: bytes, arriving: Arriving) -> None:
        try:
            message = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValidationError:
            await self._gate.unwanted(len(line))
            log.debug("server %s: no message of the protocol: %r", self._name, line[:200])
            return
        if await self._gate.arriving(message, len(line)):
            await arriving.send(message)

    async def speak(self, leaving: Leaving) -> None:
        """Pass on what is said to it."""
        with leaving:
            async for message in leaving:
                self._gate.leaving(message)
                try:
                    said = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                except (PydanticSerializationError, ValueError) as error:
                    log.warning("server %s: a message cannot be written as JSON: %s", self._name, error)
                    continue
                try:
                    await self._child.say(said.encode() + b"\n")
                except OSError:  # it reads no more; `listen` learns why
                    return
