"""Real `mycelium serve` processes, spoken to over their pipes, that a test may stop or kill."""

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

PATIENCE = 60.0
"""Seconds: a bound for a broken build, generous because eight processes share two cores."""
MYCELIUM = str(Path(sys.executable).with_name("mycelium"))
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Refused(Exception):
    """What a tool answered instead of a result: `said` has the code, the message and the rest."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(f"{said['code']}: {said['message']}")
        self.said = said


class ServerProcess:
    """One server process and its client's end of the pipes. Any number of calls may be under way."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.pid = process.pid
        self._next_id = 1
        self._answers: dict[int, dict[str, Any] | None] = {}
        self._arrived: dict[int, anyio.Event] = {0: anyio.Event()}

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """A tool's structured answer.

        Raises:
            Refused: the tool answered with an error.
            anyio.BrokenResourceError: the server died first.
        """
        request_id, self._next_id = self._next_id, self._next_id + 1
        answer = await self._ask(request_id, "tools/call", {"name": tool, "arguments": arguments})
        result = cast("dict[str, Any]", answer["result"])
        if result.get("isError"):
            raise Refused(result["structuredContent"]["error"])
        return cast("dict[str, Any]", result["structuredContent"])

    async def say_hello(self) -> None:
        await self._ask(0, "initialize", HELLO)
        await self._send({"method": "notifications/initialized"})

    async def read(self) -> None:
        """Hand out answers until the server's end closes."""
        assert self.process.stdout is not None
        lines = BufferedByteReceiveStream(self.process.stdout)
        try:
            while True:
                answer = json.loads(await lines.receive_until(b"\n", 64 * 1024 * 1024))
                self._deliver(answer["id"], answer)
        except (anyio.EndOfStream, anyio.IncompleteRead):
            for request_id in list(self._arrived):
                self._deliver(request_id, None)

    def _deliver(self, request_id: int, answer: dict[str, Any] | None) -> None:
        self._answers.setdefault(request_id, answer)
        self._arrived.setdefault(request_id, anyio.Event()).set()

    async def _ask(self, request_id: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        arrived = self._arrived.setdefault(request_id, anyio.Event())
        await self._send({"id": request_id, "method": method, "params": params})
        with anyio.fail_after(PATIENCE):
            await arrived.wait()
        answer = self._answers[request_id]
        if answer is None:
            raise anyio.BrokenResourceError
        return answer

    async def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


@asynccontextmanager
async def serving(store: Path | str, agent: str, **env: str) -> AsyncGenerator[ServerProcess]:
    """A server on this store, its handshake done. A path is an SQLite file, a text is any store's URL."""
    url = store if isinstance(store, str) else f"sqlite:///{store}"
    command = [MYCELIUM, "serve", "--backend", url, "--agent", agent]
    async with await anyio.open_process(command, stderr=None, env={**os.environ, **env}) as process:
        server = ServerProcess(process)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.read)
            try:
                with anyio.fail_after(PATIENCE):
                    await server.say_hello()
                yield server
                assert process.stdin is not None
                await process.stdin.aclose()
                with anyio.move_on_after(PATIENCE):
                    await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def team(store: Path | str, size: int) -> AsyncGenerator[list[ServerProcess]]:
    """Servers on one store, started at the same moment: agents `agent-0` to `agent-N`."""
    servers: list[ServerProcess] = []
    all_there, over = anyio.Event(), anyio.Event()

    async def serve(number: int) -> None:
        async with serving(store, f"agent-{number}") as server:
            servers.append(server)
            if len(servers) == size:
                all_there.set()
            await over.wait()

    async with anyio.create_task_group() as tasks:
        for number in range(size):
            tasks.start_soon(serve, number)
        with anyio.fail_after(PATIENCE):
            await all_there.wait()
        yield servers
        over.set()
