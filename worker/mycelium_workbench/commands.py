"""`run_command`: a shell's command behind walls, for a limited time."""

from __future__ import annotations

import signal
from typing import Annotated, Final

from mcp_types import ToolAnnotations
from pydantic import Field

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import (
    InvalidInput,
    NoWalls,
    Protected,
    TimedOut,
    TooLarge,
    ToolFailed,
    TooManyProcesses,
    TooMuchMemory,
    TooMuchOutput,
    WorkbenchError,
)
from mycelium_workbench.hidden import NAME
from mycelium_workbench.registry import Number, tool
from mycelium_workbench.reply import Reply
from mycelium_workbench.running import Ran, run

LONGEST_COMMAND: Final = 100_000
"""Bytes: the kernel takes no argument over 128 KiB."""
LONGEST_STDIN: Final = 1024 * 1024


@tool(ToolAnnotations(destructive_hint=True))
async def run_command(
    bench: Bench,
    command: str,
    cwd: Annotated[str, Field(description="Relative to the root")] = ".",
    seconds: Annotated[Number | None, Field(description="Time limit", gt=0)] = None,
    stdin: str = "",
) -> Reply:
    """Run a shell command in the folder. Its processes end with it; background ones are not kept. {holds}."""
    _check(command, stdin)
    limit = min(seconds or bench.limits.seconds, bench.limits.seconds)
    where = bench.folder.check_folder(cwd)
    walled = await bench.walled()
    folder = str(bench.folder.root if where == "." else bench.folder.root / where)
    async with bench.commands:
        ran = await run(bench, command, folder, stdin.encode("utf-8", "surrogatepass"), limit, walled=walled)
    if (error := _error(ran, bench, limit)) is not None:
        raise error
    return _reply(ran, bench.first_words(), _limit_met(ran.exit_code or 0, bench, limit))


def _check(command: str, stdin: str) -> None:
    if not command.strip():
        raise InvalidInput("The command is empty.", hint="Pass what a shell would take.")
    if "\0" in command:
        raise InvalidInput("The command has a NUL character in it.", hint="Pass data as stdin.")
    if len(command.encode("utf-8", "surrogatepass")) > LONGEST_COMMAND:
        raise TooLarge(f"The command has over {LONGEST_COMMAND} bytes.", hint="Write a script, and run that.")
    if len(stdin) > LONGEST_STDIN:
        raise TooLarge(f"stdin has over {LONGEST_STDIN} characters.", hint="Write a file, and read it from there.")


def _error(ran: Ran, bench: Bench, limit: float) -> WorkbenchError | None:
    limits, data = bench.limits, ran.data()
    match ran.stopped:
        case _ if ran.aside is not None:
            return Protected(
                f"{NAME} was made while the command ran; it is called {ran.aside} now.",
                hint="Mycelium keeps its configuration under that name: use another.",
                **data,
            )
        case "time":
            return TimedOut(
                f"The command ran for over {limit:g} s and was stopped.",
                hint=f"Do less at a time, or pass more seconds (up to {limits.seconds:g}).",
                **data,
            )
        case "output":
            return TooMuchOutput(
                "The command wrote without end and was stopped.", hint="Write to a file, or less.", **data
            )
        case "memory":
            return TooMuchMemory(
                f"The command used over {limits.memory_mb} MiB and was stopped.", hint="Do less at a time.", **data
            )
        case "processes":
            return TooManyProcesses(
                f"The command had over {limits.processes} processes and was stopped.", hint="Start fewer.", **data
            )
        case _ if ran.failed is not None:
            return NoWalls(f"The command could not be walled in: {ran.failed}.", hint="Try again.")
        case _ if ran.exit_code is None:
            return ToolFailed("The command's keeper was ended from outside.", hint="Try again.", **data)
        case _:
            return None


def _limit_met(code: int, bench: Bench, limit: float) -> str:
    """Which of the kernel's limits ended the command, as its exit code tells, its shell's or its own."""
    match -code if code < 0 else code - 128:
        case signal.SIGXFSZ:
            return f" (a file would have over {bench.limits.command_file_mb} MiB: --command-file-mb sets the limit)"
        case signal.SIGXCPU:
            return f" (it used over {limit:g} s of a processor's time)"
        case _:
            return ""


def _reply(ran: Ran, first: str, limit_met: str) -> Reply:
    code = ran.exit_code or 0
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    how += limit_met
    output = ran.output.text()
    lines = [*([first] if first else []), f"{how}, {ran.seconds:.1f} s", output]
    data = ran.data() | ({"walls": first} if first else {})
    return Reply("\n".join(lines).rstrip("\n") if output else "\n".join(lines[:-1]), data)
