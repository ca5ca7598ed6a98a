"""The two ends of the stdio wire, in this process: what only a test between them can see."""

import asyncio
import json
import os
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mycelium_server.framing import LineSplitter, LineTooLong
from mycelium_server.wire import Inbox, Outbox

PATIENCE = 20.0


@given(st.lists(st.binary(max_size=12), max_size=20), st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(_split(chunks)) == list(_split([stream]))


def _split(chunks: list[bytes]) -> Iterator[bytes]:
    splitter = LineSplitter(limit=8)
    found = [line for chunk in chunks for line in splitter.feed(chunk)] + list(splitter.end())
    for line in found:
        yield b"too long" if isinstance(line, LineTooLong) else bytes(line)


async def test_a_cancelled_send_never_tears_a_line() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    outbox = Outbox(write_end)
    with anyio.move_on_after(0.05):  # nobody reads: the pipe fills, and the send stays half done
        await outbox.send(_notification("first", 1_000_000))
    async with asyncio.timeout(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.send, _notification("second", 10))
            lines = await anyio.to_thread.run_sync(_read_lines, read_end, 2)
            assert [json.loads(line)["method"] for line in lines] == ["first", "second"]
    outbox.lose()
    os.close(write_end)


async def test_what_cannot_be_written_as_json_ends_nothing() -> None:
    read_end, write_end = os.pipe()
    outbox = Outbox(write_end)
    unwritable: dict[str, object] = {"text": "half a pair: \ud800"}
    await outbox.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="news", params=unwritable)))
    for request_id in (7, "\ud800"):
        await outbox.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=request_id, result=unwritable)))
    answers = [json.loads(line) for line in await anyio.to_thread.run_sync(_read_lines, read_end, 2)]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [(7, -32603), (None, -32603)]
    outbox.lose()
    os.close(write_end)


async def test_a_lost_client_wakes_every_sender() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    outbox = Outbox(write_end)
    lost: list[str] = []
    outbox.on_lost = lambda: lost.append("once")
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(_send_in_vain, outbox)
            await anyio.lowlevel.checkpoint()
            os.close(read_end)
    assert lost == ["once"]
    os.close(write_end)


async def _send_in_vain(outbox: Outbox) -> None:
    with pytest.raises(anyio.BrokenResourceError):
        await outbox.send(_notification("never read", 1_000_000))


async def test_a_lost_client_is_owed_nothing() -> None:
    read_end, write_end = os.pipe()
    outbox = Outbox(write_end)
    outbox.owe(JSONRPCRequest(jsonrpc="2.0", id=1, method="tools/call"))
    outbox.lose()
    with anyio.fail_after(PATIENCE):
        await outbox.all_answered()
    os.close(read_end)
    os.close(write_end)


async def test_reading_pauses_while_the_server_is_behind_and_goes_on_after() -> None:
    read_end, write_end = os.pipe()
    for end in (read_end, write_end):
        os.set_blocking(end, False)
    outbox = Outbox(write_end)
    inbox = Inbox(read_end, outbox)
    line = _notification("news", 1000).message.model_dump_json().encode() + b"\n"
    os.write(write_end, line)
    with anyio.fail_after(PATIENCE):
        await inbox.receive()
        taken = await _write_until_stuck(write_end, line)
        assert 1_000_000 < taken * len(line) < 3_000_000
        for _ in range(taken):
            assert isinstance(await inbox.receive(), SessionMessage)
    await inbox.aclose()
    outbox.lose()
    os.close(read_end)
    os.close(write_end)


async def _write_until_stuck(fd: int, line: bytes) -> int:
    """Write lines for as long as somebody takes them; how many that were."""
    written = stuck = 0
    while stuck < 100:
        try:
            os.write(fd, line)
        except BlockingIOError:
            stuck += 1
            await anyio.lowlevel.checkpoint()
        else:
            written, stuck = written + 1, 0
    return written


def _notification(method: str, size: int) -> SessionMessage:
    return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=method, params={"text": "x" * size}))


def _read_lines(fd: int, count: int) -> list[bytes]:
    with open(fd, "rb") as stream:
        return [stream.readline() for _ in range(count)]
