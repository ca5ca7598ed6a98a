"""`read_file` and `write_file`."""

from __future__ import annotations

from typing import Annotated, Final

import anyio.to_thread
from mcp_types import ToolAnnotations
from pydantic import Field

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import InvalidInput, NotText
from mycelium_workbench.registry import Whole, tool
from mycelium_workbench.reply import Reply

LINES: Final = 2000
"""In one answer, unless told otherwise."""


@tool(ToolAnnotations(read_only_hint=True, open_world_hint=False))
async def read_file(
    bench: Bench,
    path: str,
    offset: Annotated[Whole, Field(description="Lines to skip", ge=0)] = 0,
    limit: Annotated[Whole, Field(description="Lines to read", ge=1)] = LINES,
) -> Reply:
    """Read a text file."""
    content = await anyio.to_thread.run_sync(bench.folder.read_bytes, path)
    try:
        lines = content.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        raise NotText(f"{path[:200]!r} is not UTF-8 text.", hint="Look at it with run_command.") from None
    text, taken = _fitting(lines[offset : offset + limit], bench.limits.output_bytes)
    after = offset + taken
    following = after if after < len(lines) else None
    data = {"content": text, "lines": len(lines), "bytes": len(content), "next_offset": following}
    return Reply(text if following is None else f"{text}\n(next_offset {following} of {len(lines)})", data)


def _fitting(lines: list[str], most: int) -> tuple[str, int]:
    """As many lines as fit, at least one, which is cut if it alone does not."""
    taken: list[str] = []
    size = 0
    for line in lines:
        size += len(line.encode())
        if size > most and taken:
            break
        if size > most:
            cut = line.encode()[:most].decode(errors="ignore")
            return f"{cut}… (the line goes on)\n", 1
        taken.append(line)
    return "".join(taken), len(taken)


@tool(ToolAnnotations(destructive_hint=True, idempotent_hint=False, open_world_hint=False))
async def write_file(
    bench: Bench,
    path: str,
    content: str,
    append: Annotated[bool, Field(description="Add to the end")] = False,
) -> Reply:
    """Write a text file, whole or not at all. Folders on the way are made."""
    try:
        encoded = content.encode()
    except UnicodeEncodeError:
        raise InvalidInput("The content has characters that no text has.", hint="Remove lone surrogates.") from None
    size = await anyio.to_thread.run_sync(lambda: bench.folder.write_bytes(path, encoded, append=append))
    return Reply(f"{path} has {size} bytes now.", {"path": path, "bytes": size})
