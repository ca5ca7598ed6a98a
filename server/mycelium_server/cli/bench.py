"""The command that measures backends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mycelium_server.cli.options import AsJson
from mycelium_server.cli.run import runs
from mycelium_server.cli.settings import settled


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(bench)


@runs
async def bench(
    # Not MYCELIUM_BACKEND: that names the store that is worked in, which nothing is measured in.
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            "-b",
            envvar="MYCELIUM_BENCH_BACKEND",
            metavar="KIND",
            callback=settled,
            help="Measure memory, sqlite, taskqueue, markdown, redis, or a server: redis://HOST:PORT/DB.",
        ),
    ] = "sqlite",
    agents: Annotated[
        int | None,
        typer.Option(
            envvar="MYCELIUM_BENCH_AGENTS", metavar="N", help="Let so many call at once: 100, 50 or 20 by the kind."
        ),
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(envvar="MYCELIUM_BENCH_CALLS", metavar="N", help="Make so many calls of each kind."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(envvar="MYCELIUM_BENCH_PLOT", metavar="FILE", help="Draw rates and times into this file, as SVG."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a backend beside its bare driver.

    It works in a new store, which it removes.
    """
    from mycelium_server.bench.command import bench_and_show

    await bench_and_show(backend, agents=agents, calls=calls, plot=plot, as_json=as_json)
