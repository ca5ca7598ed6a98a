"""What a benchmark returns, and how it is shown."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing beside its baseline. `ratio` is value / baseline; the goal is said in words."""

    name: str
    value: float
    unit: str
    baseline: float
    baseline_name: str
    goal: str
    met: bool

    @property
    def ratio(self) -> float:
        return self.value / self.baseline if self.baseline else 0.0


def middle(values: Sequence[float]) -> float:
    """The median; a single number of a noisy machine says little."""
    return median(values)


def fsync_median(path: Path) -> float:
    """The median of appending a page and waiting until the disk has it, in seconds."""
    times: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    return middle(times)


def show(figures: Sequence[Figure], *, as_json: bool) -> None:
    """A table for people, tab-separated lines for pipes, or JSON."""
    if as_json:
        print(json.dumps([{**asdict(figure), "ratio": figure.ratio} for figure in figures], indent=2))
    elif sys.stdout.isatty():
        Console().print(_table(figures))
    else:
        for figure in figures:
            print("\t".join(_cells(figure)))


def _cells(figure: Figure) -> list[str]:
    return [
        figure.name,
        f"{figure.value:,.2f} {figure.unit}",
        f"{figure.baseline:,.2f} {figure.unit} ({figure.baseline_name})",
        f"{figure.ratio:.2f}",
        f"{figure.goal}: {'yes' if figure.met else 'NO'}",
    ]


def _table(figures: Sequence[Figure]) -> Table:
    table = Table("measured", "value", "baseline", "ratio", "goal", title=f"Python {platform.python_version()}")
    for figure in figures:
        table.add_row(*_cells(figure))
    return table
