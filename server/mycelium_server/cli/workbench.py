"""The command that serves the workbench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mycelium_server.cli.run import runs


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(workbench)


@runs
async def workbench(
    root: Annotated[Path, typer.Option(metavar="FOLDER", help="Work in this folder, and nowhere else.")] = Path(),
    network: Annotated[bool, typer.Option("--network", help="Let commands use the network.")] = False,
    unconfined: Annotated[
        bool,
        typer.Option(
            "--unconfined", help="Run commands without walls, where this system has none: with all that you may do."
        ),
    ] = False,
    readable: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Let commands read this folder, besides the system's. May be repeated."),
    ] = None,
    hide: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Let no tool see this, besides every folder .mycelium. May be repeated."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Let pages come from here, though it is private. May be repeated."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Let a command run for at most this long.")] = 60.0,
    memory_mb: Annotated[int, typer.Option(help="Let a command's processes use this much memory.")] = 2048,
    processes: Annotated[int, typer.Option(help="Let a command have this many processes at once.")] = 128,
    output_kb: Annotated[int, typer.Option(help="Answer with at most this much text.")] = 24,
    file_mb: Annotated[int, typer.Option(help="Read and write files of up to this size.")] = 10,
    command_file_mb: Annotated[int, typer.Option(help="Let a command write files of up to this size.")] = 1024,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append the lines of each call to this file. Without it, to stderr."),
    ] = None,
) -> None:
    """Serve the workbench's six tools over stdin and stdout.

    They run commands, read, write and search files, analyze code and browse pages, for any MCP client. Commands see the
    system's folders and the one that is worked in, a clean environment, and no network; where the system has no
    namespaces to hold them, as on macOS and in many containers, they are refused unless --unconfined is given.
    """
    from mycelium_server.assembly.workbench import serve_workbench
    from mycelium_workbench import Limits, Settings

    settings = Settings(
        root=root,
        network=network,
        unconfined=unconfined,
        readable=tuple(readable or ()),
        hidden=tuple(hide or ()),
        audit=audit,
        limits=Limits(
            seconds=seconds,
            memory_mb=memory_mb,
            processes=processes,
            output_kb=output_kb,
            file_mb=file_mb,
            command_file_mb=command_file_mb,
        ),
    )
    await serve_workbench(settings, allow_host or [])
