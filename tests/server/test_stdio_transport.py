"""The stdio transport, as a client sees it: a real process on real pipes, sockets, files and a terminal."""

import os
import pty
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

import anyio
import pytest

from mycelium_server.framing import MAX_LINE
from tests.server.raw_client import BARE_SERVER, OPENING, PATIENCE, bare_client, call, line, text_of

Stream = int | IO[bytes]  # what a process can be given


async def test_nothing_a_handler_prints_reaches_stdout() -> None:
    async with bare_client() as client:
        assert await client.call("chatter") == ""
        code, out, err = await client.finish()
    assert (code, out) == (0, b"")
    assert sorted(err.splitlines()) == [b"stray child", b"stray print", b"stray write"]


async def test_descriptors_are_as_before_when_serving_ends() -> None:
    async with bare_client(["--sign-off"]) as client:
        assert await client.finish() == (0, b"restored True True True\n", b"")


async def test_five_megabytes_pass_both_ways() -> None:
    async with bare_client() as client:
        text = "mycelium" * 640 * 1024
        assert await client.call("echo", text) == text


@pytest.mark.parametrize(
    ("bad", "code", "request_id"),
    [
        (b"garbage\n", -32700, None),
        (b'{"jsonrpc": "2.0", "id": 7, "met\n', -32700, None),
        (b"\xff\xfe\n", -32700, None),
        (b"[" * 100_000 + b"\n", -32700, None),
        (b"[]\n", -32600, None),
        (line({"id": 7, "method": "ping", "params": [1]}), -32600, 7),
        (line({"id": 7, "result": "not an object"}), -32600, None),
        (line({"id": None, "method": "tools/list"}), -32600, None),
        (line({"id": 1.5, "method": "tools/list"}), -32600, None),
        (line({"id": "\ud800", "method": "ping"}), -32600, None),
        (line({"id": 7, "method": "\ud800"}), -32600, 7),
        (line({"id": 7, "method": "ping", "params": {"\ud800": "\udfff"}}), -32600, 7),
        (b"x" * (MAX_LINE + 1) + b"\n", -32700, None),
    ],
    ids=[
        "garbage",
        "cut-off",
        "not-utf-8",
        "too-deep",
        "batch",
        "bad-params",
        "bad-response",
        "null-id",
        "broken-id",
        "half-id",
        "half-method",
        "half-params",
        "over-long",
    ],
)
async def test_a_line_that_is_no_message_is_refused_and_serving_goes_on(
    bad: bytes, code: int, request_id: int | None
) -> None:
    async with bare_client() as client:
        await client.send(bad)
        refusal = await client.receive()
        assert (refusal["error"]["code"], refusal["id"]) == (code, request_id)
        assert await client.call("echo", "still here") == "still here"


async def test_a_notification_may_have_a_null_id() -> None:
    async with bare_client() as client:
        await client.send(line({"id": None, "method": "notifications/initialized"}))
        assert await client.call("echo", "nothing before this") == "nothing before this"


async def test_bytes_that_are_not_utf8_read_as_replacement_characters() -> None:
    async with bare_client() as client:
        await client.send(call(1, "echo", "caf?").replace(b"?", b"\xe9"))
        assert text_of(await client.receive(), 1) == "caf\N{REPLACEMENT CHARACTER}"


async def test_blank_lines_and_carriage_returns_are_no_messages() -> None:
    async with bare_client() as client:
        await client.send(b"\n\r\n  \n" + call(1, "echo", "dos").replace(b"\n", b"\r\n"))
        assert text_of(await client.receive(), 1) == "dos"


async def test_an_endless_line_takes_no_endless_memory() -> None:
    async with bare_client() as client:
        before = await client.peak()
        for _ in range(16):
            await client.send(b"x" * MAX_LINE)
        await client.send(b"\n")
        assert (await client.receive())["error"]["code"] == -32700
        assert await client.peak() - before < 4 * MAX_LINE


async def test_a_client_that_does_not_read_takes_no_memory() -> None:
    async with bare_client() as client:
        before = await client.peak()
        await client.send(b"".join(call(number, "big") for number in range(200)))
        answers = [await client.receive() for _ in range(200)]
        assert sorted(answer["id"] for answer in answers) == list(range(200))
        assert await client.peak() - before < 50_000_000


async def test_pipelined_requests_are_all_answered() -> None:
    async with bare_client() as client:
        await client.send(b"".join(call(number, "echo", str(number)) for number in range(200)))
        answers = [await client.receive() for _ in range(200)]
        assert {answer["id"]: text_of(answer, answer["id"]) for answer in answers} == {n: str(n) for n in range(200)}


async def test_requests_at_work_are_answered_after_stdin_closes() -> None:
    async with bare_client() as client:
        await client.send(call(1, "wait", "0.05") + call(2, "echo", "last, without a newline").rstrip())
        code, out, _ = await client.finish()
    assert code == 0
    assert b'"id":1,"result"' in out
    assert b"last, without a newline" in out


async def test_a_long_call_does_not_hold_up_the_exit() -> None:
    async with bare_client() as client:
        await client.send(call(1, "wait", "3600"))
        code, out, err = await client.finish()
    assert (code, err) == (0, b"")
    assert b"Connection closed" in out


async def test_closing_stdin_ends_the_server_quietly() -> None:
    async with bare_client() as client:
        assert await client.finish() == (0, b"", b"")


@pytest.mark.parametrize("tool", [None, "big"], ids=["idle", "writing"])
async def test_closing_stdout_ends_the_server_quietly(tool: str | None) -> None:
    answers, stdout = os.pipe()
    with _start(subprocess.PIPE, stdout, stderr=subprocess.PIPE) as process:
        os.close(stdout)
        assert process.stdin
        assert process.stderr
        process.stdin.write(OPENING + (call(1, tool) if tool else b""))
        process.stdin.flush()
        assert select.select([answers], [], [], PATIENCE)[0]
        os.close(answers)
        assert await anyio.to_thread.run_sync(process.wait, PATIENCE) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("ends", [2, 1], ids=["a-socket-each", "one-socket-for-both"])
async def test_sockets_serve_as_well_as_pipes(ends: int) -> None:
    pairs = [socket.socketpair() for _ in range(ends)]
    process = _start(pairs[0][1].fileno(), pairs[-1][1].fileno())
    for _, theirs in pairs:
        theirs.close()
    await anyio.to_thread.run_sync(_exchange, pairs[0][0], pairs[-1][0])
    for ours, _ in pairs:
        ours.close()
    assert await anyio.to_thread.run_sync(process.wait, PATIENCE) == 0


def _exchange(to_server: socket.socket, from_server: socket.socket) -> None:
    for end in (to_server, from_server):
        end.settimeout(PATIENCE)
    text = "y" * 1_000_000
    to_server.sendall(OPENING + call(1, "echo", text))
    with from_server.makefile("rb") as answers:
        assert b'"id":0,"result"' in answers.readline()
        assert text.encode() in answers.readline()


async def test_files_are_served_by_the_stock_transport(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(OPENING)
    with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
        process = _start(stdin, stdout)
        assert await anyio.to_thread.run_sync(process.wait, PATIENCE) == 0
    assert b'"serverInfo"' in (tmp_path / "out").read_bytes()


async def test_the_null_device_is_a_client_that_has_left() -> None:
    process = _start(subprocess.DEVNULL, subprocess.DEVNULL)
    assert await anyio.to_thread.run_sync(process.wait, PATIENCE) == 0


async def test_a_terminal_stays_in_blocking_mode() -> None:
    keyboard, terminal = pty.openpty()
    process = _start(terminal, subprocess.PIPE)
    try:
        os.write(keyboard, OPENING)
        assert process.stdout
        assert select.select([process.stdout], [], [], PATIENCE)[0]
        assert b'"serverInfo"' in os.read(process.stdout.fileno(), 65536)
        assert os.get_blocking(terminal)
    finally:
        process.kill()
        await anyio.to_thread.run_sync(process.wait, PATIENCE)
        process.communicate()
        os.close(keyboard)
        os.close(terminal)


def _start(stdin: Stream, stdout: Stream, stderr: Stream | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(BARE_SERVER)], stdin=stdin, stdout=stdout, stderr=stderr)
