"""A client that speaks bytes: it can say what the SDK's client never would."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

BARE_SERVER = Path(__file__).with_name("bare_server.py")
PATIENCE = 20.0  # seconds: a bound for a broken build, never reached otherwise

Message = dict[str, Any]
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


def line(message: Message) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def request(request_id: int, method: str, params: Message) -> bytes:
    return line({"id": request_id, "method": method, "params": params})


def call(request_id: int, tool: str, text: str = "") -> bytes:
    return request(request_id, "tools/call", {"name": tool, "arguments": {"text": text}})


# Handlers' prints must stay in Python's buffer, where they would wait for stdout to come back.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
OPENING = request(0, "initialize", HELLO) + line({"method": "notifications/initialized"})


class RawClient:
    """One server process and its three pipes. Every wait is bounded."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    async def send(self, data: bytes) -> None:
        self.stdin.write(data)
        await asyncio.wait_for(self.stdin.drain(), PATIENCE)

    async def receive(self) -> Message:
        return cast("Message", json.loads(await asyncio.wait_for(self.stdout.readline(), PATIENCE)))

    async def call(self, tool: str, text: str = "", *, request_id: int = 1) -> str:
        await self.send(call(request_id, tool, text))
        return text_of(await self.receive(), request_id)

    async def peak(self) -> int:
        """The most memory the server ever held, in bytes."""
        return int(await self.call("peak")) * (1 if sys.platform == "darwin" else 1024)

    async def finish(self) -> tuple[int, bytes, bytes]:
        """Close stdin; the exit code and what was still on stdout and stderr."""
        self.stdin.close()
        out, err = await asyncio.wait_for(asyncio.gather(self.stdout.read(), self.stderr.read()), PATIENCE)
        return await self.exit_code(), out, err

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


def text_of(answer: Message, request_id: int) -> str:
    assert answer["id"] == request_id
    return str(answer["result"]["content"][0]["text"])


@asynccontextmanager
async def bare_client(arguments: Iterable[str] = ()) -> AsyncGenerator[RawClient, None]:
    """Start the bare server, say hello, and see to it that no process is left behind."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BARE_SERVER), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=BUFFERED,
        limit=64 * 1024 * 1024,
    )
    client = RawClient(process)
    try:
        await client.send(OPENING)
        assert (await client.receive())["id"] == 0
        yield client
    finally:
        if process.returncode is None:
            process.kill()
        client.stdin.close()
        await process.wait()
