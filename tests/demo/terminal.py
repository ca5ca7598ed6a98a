"""A terminal to run a command on."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Mapping, Sequence

import anyio


async def run_on_terminal(
    command: Sequence[str], env: Mapping[str, str], *, columns: int, lines: int
) -> tuple[int, str]:
    """Run a command with a terminal for its output; its exit code and all that it wrote, control sequences included."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = await anyio.open_process(
        command, env={**env, "TERM": "xterm-256color", "LANG": "C.UTF-8"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = bytearray()
    try:
        while chunk := await _read(ours):
            written += chunk
        return await process.wait(), written.decode(errors="replace")
    finally:
        os.close(ours)
        if process.returncode is None:
            process.kill()
        await process.aclose()


async def _read(fd: int) -> bytes:
    await anyio.wait_readable(fd)
    try:
        return os.read(fd, 65536)
    except OSError:  # how Linux says that nobody has the other end open any more
        return b""
