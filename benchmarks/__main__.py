"""Run the benchmarks: `python -m benchmarks [--json] [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import Progress

from benchmarks import delivery, growth, library, network, redis, stdio, workflows
from benchmarks.figures import Figure, show

Benchmark: TypeAlias = Callable[[Path, Callable[[], None]], list[Figure]]

BENCHMARKS: Final[dict[str, tuple[Benchmark, int]]] = {
    "cold_start": (stdio.cold_start, stdio.STARTS),
    "single_calls": (stdio.single_calls, stdio.BLOCKS),
    "throughput": (library.throughput, library.ROUNDS),
    "growth": (growth.growth, growth.STEPS),
    "delivery": (delivery.delivery, delivery.STEPS),
    "redis": (redis.redis_calls, redis.STEPS),
    "workflows": (workflows.workflows, workflows.STEPS),
    "network": (network.network, network.STEPS),
    "network_memory": (network.network_memory, network.MEMORY_STEPS),
}
"""Each with the number of its steps."""


def main() -> int:
    """Print the figures; 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"some of: {', '.join(BENCHMARKS)}; default all. scripts/install-rivals brings what network has beside us",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True), transient=True) as progress:
        for name in asked.names or BENCHMARKS:
            benchmark, steps = BENCHMARKS[name]
            bar = progress.add_task(name, total=steps)
            figures += benchmark(Path(folder), lambda bar=bar: progress.advance(bar))
    show(figures, as_json=asked.json)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
