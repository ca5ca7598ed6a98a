"""A report as rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mycelium_server.bench.figures import Operation, Report, Timing
from mycelium_server.cli.output import Listing

TIMING: Final = ("p50", "p95", "p99", "calls/s")
UNITS: Final = ((1024**2, "MiB"), (1024, "KiB"), (1, "B"))


def of_operations(report: Report) -> Listing:
    """Each operation under each load: milliseconds, calls in a second, and the same of the bare driver."""
    raw = [f"raw {name}" for name in TIMING] if report.raw is not None else []
    columns = ("operation", "agents", *TIMING, *raw, *(["ratio"] if raw else []))
    rows = [_row(each, with_raw=bool(raw)) for each in report.operations]
    return Listing(columns, rows, report.as_dict(), cut=("operation",))


def _row(operation: Operation, *, with_raw: bool) -> Sequence[str]:
    raw = [*_cells(operation.raw), _ratio(operation.ratio)] if with_raw else []
    return (operation.name, str(operation.agents), *_cells(operation.mycelium), *raw)


def _cells(timing: Timing | None) -> Sequence[str]:
    if timing is None:
        return ("-",) * len(TIMING)
    rate = "-" if timing.per_second is None else f"{timing.per_second:.0f}"
    return (f"{timing.p50:.3f}", f"{timing.p95:.3f}", f"{timing.p99:.3f}", rate)


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def of_sizes(report: Report) -> Listing:
    """What things take."""
    return Listing(("", "takes"), [(each.name, _bytes(each.bytes)) for each in report.sizes], report.as_dict())


def _bytes(count: float) -> str:
    size, unit = next((pair for pair in UNITS if count >= pair[0]), UNITS[-1])
    return f"{count / size:.1f} {unit}"


def headline(report: Report) -> str:
    """What was measured, and beside what."""
    raw = f"; raw: {report.raw}" if report.raw is not None else ""
    calls = f"{report.calls} calls of each kind"
    return f"{report.mode}: {calls}, {report.store}, removed again; times in ms{raw}. {report.machine}"
