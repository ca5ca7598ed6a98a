"""Cold start and single calls over stdio, beside a bare SDK server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
from mcp import Client, StdioServerParameters

from benchmarks.figures import Figure, fsync_median, middle

BARE: Final = [sys.executable, "-m", "benchmarks.bare_server"]
STARTS: Final = 15
CALLS: Final = 300
BLOCKS: Final = 7


def ours(store: Path) -> list[str]:
    """The command of a Mycelium server on this store."""
    return [str(Path(sys.executable).with_name("mycelium")), "serve", "--backend", f"sqlite:///{store}"]


def cold_start(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """From the start of the process to the answer to `tools/list`, in turn with the bare server."""
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for number in range(STARTS):
        times["bare"].append(_start(BARE))
        times["ours"].append(_start(ours(folder / f"cold-{number}.db")))
        step()
    bare, mycelium = middle(times["bare"]), middle(times["ours"])
    return [
        Figure(
            "cold start to tools/list", mycelium * 1000, "ms", bare * 1000, "bare SDK server", "ratio <= 1.25",
            mycelium <= 1.25 * bare,
        )
    ]  # fmt: skip


def _start(command: list[str]) -> float:
    initialize = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "0"},
    }
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        server.stdin.flush()
        while json.loads(server.stdout.readline()).get("id") != 2:
            pass
        taken = time.perf_counter() - begun
        server.stdin.close()
    return taken


def single_calls(folder: Path, step: Callable[[], None]) -> list[Figure]:
    """One `create_task` after another through the SDK's client, in turn with the bare server's no-op."""
    return anyio.run(_single_calls, folder, step)


async def _single_calls(folder: Path, step: Callable[[], None]) -> list[Figure]:
    command, *arguments = ours(folder / "calls.db")
    noop: list[float] = []
    create: list[float] = []
    fsync: list[float] = []
    async with (
        Client(StdioServerParameters(command=BARE[0], args=BARE[1:], cwd=Path.cwd())) as bare,
        Client(StdioServerParameters(command=command, args=arguments)) as mycelium,
    ):
        for _ in range(BLOCKS):
            noop.append(await _median_call(bare, "noop", {}))
            create.append(await _median_call(mycelium, "create_task", {"type": "x", "payload": {"n": 1}}))
            fsync.append(fsync_median(folder / "fsync"))
            step()
    bare_call, call, sync = middle(noop), middle(create), middle(fsync)
    allowed = 1.5 * bare_call + sync
    return [
        Figure(
            "create_task over stdio", call * 1000, "ms", bare_call * 1000, "no-op of a bare SDK server",
            f"<= 1.5 x + one fsync ({sync * 1000:.2f} ms) = {allowed * 1000:.2f} ms", call <= allowed,
        )
    ]  # fmt: skip


async def _median_call(client: Client, tool: str, arguments: dict[str, object]) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        await client.call_tool(tool, arguments)
        times.append(time.perf_counter() - begun)
    return middle(times)
