"""The command that shows agents sharing real work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mycelium_server.cli.run import runs


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


@runs
async def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(envvar="MYCELIUM_DEMO_FOLDER", help="Survey this folder. Without it, Mycelium's own source."),
    ] = None,
    agents: Annotated[
        int, typer.Option(envvar="MYCELIUM_DEMO_AGENTS", help="Let this many agents share the work.")
    ] = 3,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", "-b", envvar="MYCELIUM_BACKEND", metavar="URL", help="Use this store. Without it, a new one."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            envvar="MYCELIUM_DEMO_REPORT", help="Write the report to this file. Without it, beside the new store."
        ),
    ] = None,
    pace: Annotated[
        float | None,
        typer.Option(
            envvar="MYCELIUM_DEMO_PACE",
            metavar="SECONDS",
            help="Slow each task down to be watched: by 0.5 at a terminal, else by 0.",
        ),
    ] = None,
    rabbitmq: Annotated[
        str | None,
        typer.Option(
            envvar="MYCELIUM_DEMO_RABBITMQ",
            metavar="URL",
            help="Let the worker's tasks travel over RabbitMQ: amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps://.",
        ),
    ] = None,
) -> None:
    """Watch agents share real work.

    They survey the Python files of a folder and write a report; a worker analyses the longest files and, where
    ANTHROPIC_API_KEY is set, lets Claude write the summary, for which it is told what was found.
    """
    from mycelium_server.demo.run import run_demo

    code = await run_demo(folder, agents=agents, backend=backend, report=report, pace=pace, rabbitmq=rabbitmq)
    if code:
        raise typer.Exit(code)
