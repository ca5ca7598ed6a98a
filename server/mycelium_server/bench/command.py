"""What the command does: measure, show, draw."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from mycelium.errors import InvalidInput
from mycelium_server.bench.figures import Report
from mycelium_server.bench.plot import draw
from mycelium_server.bench.run import run_bench
from mycelium_server.bench.stopping import unless_stopped
from mycelium_server.bench.tables import headline, of_operations, of_sizes
from mycelium_server.cli.output import for_people, print_json, printable, show


async def bench_and_show(
    backend: str, *, agents: int | None, calls: int | None, plot: Path | None, as_json: bool
) -> None:
    """Measure a backend and print the report. A picture that cannot be drawn is told before anything is measured."""
    if plot is not None:
        _check_writable(plot)
    report = await unless_stopped(lambda: run_bench(backend, agents=agents, calls=calls))
    _show(report, as_json=as_json)
    if plot is not None:
        _write(plot, draw(report))


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
        return
    typer.echo(printable(headline(report)), err=not for_people(as_json=False))  # not among the rows of a pipe
    show(of_operations(report, width=_width()), as_json=False)
    show(of_sizes(report), as_json=False)


def _width() -> int | None:
    """Characters in a line, where a person reads it."""
    if not for_people(as_json=False):
        return None
    from rich.console import Console

    return Console().width


def _check_writable(file: Path) -> None:
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise _no_file(file, "it cannot be written")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _no_file(file, error.strerror or str(error)) from None


def _no_file(file: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{file}: {why}.", hint="Name another file.", file=str(file))
