"""`search_files`: lines that a regular expression finds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp_types import ToolAnnotations
from pydantic import Field

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import InvalidInput, InvalidPattern, TimedOut
from mycelium_workbench.helper import end, words
from mycelium_workbench.registry import Whole, tool
from mycelium_workbench.reply import Reply

LONGEST: Final = 10_000
"""Characters of a pattern or a glob."""
LONGEST_LINE: Final = 64 * 1024
MOST: Final = 1000


@tool(ToolAnnotations(read_only_hint=True, open_world_hint=False))
async def search_files(
    bench: Bench,
    pattern: Annotated[str, Field(description="Regular expression, for each line")],
    glob: Annotated[str, Field(description="Such as **/*.py")] = "**/*",
    limit: Annotated[Whole, Field(ge=1, le=MOST)] = 100,
) -> Reply:
    """Find lines in text files."""
    if len(pattern) > LONGEST or len(glob) > LONGEST:
        raise InvalidInput(f"The pattern or the glob has over {LONGEST} characters.", hint="Search for less.")
    found = Found(bench.limits.output_bytes)
    with anyio.move_on_after(bench.limits.search_seconds) as patience:
        async with _searcher(bench, pattern, glob, limit) as lines:
            await found.take(lines)
    if patience.cancelled_caught and not found.finds:
        raise TimedOut(
            f"Nothing was found within {bench.limits.search_seconds:g} s.",
            hint="Narrow the glob, or use a simpler pattern: nested repetitions take for ever.",
        )
    if (wrong := found.last.get("invalid")) is not None:
        raise InvalidPattern(f"The pattern or the glob is wrong: {wrong}.", hint="Use Python's regular expressions.")
    return _reply(found, glob, timed_out=patience.cancelled_caught)


class Found:
    """What a search has come upon so far."""

    def __init__(self, most: int) -> None:
        self._room = most
        self.finds: list[dict[str, Any]] = []
        self.last: dict[str, Any] = {}

    async def take(self, lines: BufferedByteReceiveStream) -> None:
        """Take finds until there are no more, or no room for more."""
        with suppress(anyio.EndOfStream, anyio.IncompleteRead):
            while self._room > 0:
                said: dict[str, Any] = json.loads(await lines.receive_until(b"\n", LONGEST_LINE))
                if "path" not in said:
                    self.last = said
                    return
                self._room -= len(said["path"]) + len(said["text"])
                self.finds.append(said)


def _reply(found: Found, glob: str, *, timed_out: bool) -> Reply:
    finds, files = found.finds, found.last.get("files")
    # Without a last word there was no time, no room or no memory for the rest.
    more = bool(found.last.get("more", True))
    why = "; out of time" if timed_out else ""
    lines = [f"{each['path']}:{each['line']}: {each['text']}" for each in finds]
    where = f" in {files} files" if files is not None else ""
    head = f"{len(finds)} found{where}{f', and there may be more{why}' if more else ''}"
    if files == 0:
        head += f"; no text file fits {glob[:200]!r}. * and ? stay in one folder, **/ goes through all below the root."
    return Reply("\n".join([head, *lines]), {"matches": finds, "files_searched": files, "more": more})


@asynccontextmanager
async def _searcher(bench: Bench, pattern: str, glob: str, limit: int) -> AsyncGenerator[BufferedByteReceiveStream]:
    asked = {
        "root": bench.folder.fd,
        "pattern": pattern,
        "glob": glob.removeprefix("./"),
        "limit": limit,
        "file_bytes": bench.limits.file_bytes,
        "hidden": [each.casefold() for each in bench.hidden],
    }
    process = await anyio.open_process(
        words("searcher", json.dumps(asked)),
        stdin=subprocess.DEVNULL,
        stderr=None,
        cwd="/",
        env={},
        pass_fds=[bench.folder.fd],
    )
    try:
        assert process.stdout is not None
        yield BufferedByteReceiveStream(process.stdout)
    finally:
        with anyio.CancelScope(shield=True):
            end(process)
            await process.wait()
            await process.aclose()
