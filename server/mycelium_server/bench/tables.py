"""A report as rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from mycelium_server.bench.figures import Operation, Report, Timing
from mycelium_server.cli.output import Listing

TIMING: Final = ("p50", "p95", "p99", "calls/s")
UNITS: Final = ((1024**2, "MiB"), (1024, "KiB"), (1, "B"))
STACKED: Final = ("operation", "agents", *TIMING, "ratio")
GIVEN_UP: Final = ((), ("p95",), ("p95", "p99"), ("p95", "p99", "ratio"), ("p95", "p99", "ratio", "calls/s"))
"""What a narrow terminal goes without: as little of it as there is room for."""
BETWEEN: Final = 2
"""Characters between two columns."""

Row: TypeAlias = Sequence[str]


def of_operations(report: Report, *, width: int | None = None) -> Listing:
    """Each operation under each load: milliseconds, calls in a second, and the same of the bare driver.

    Where that is wider than `width` characters, the driver has a row of its own, and as many columns as must be go.
    """
    whole = _whole(report)
    if width is None or _width(whole) <= width:
        return whole
    narrow = [_without(_stacked(report), names) for names in GIVEN_UP]
    return next((each for each in narrow if _width(each) <= width), narrow[-1])


def _whole(report: Report) -> Listing:
    raw = [f"raw {name}" for name in TIMING] if report.raw is not None else []
    columns = ("operation", "agents", *TIMING, *raw, *(["ratio"] if raw else []))
    rows = [_row(each, with_raw=bool(raw)) for each in report.operations]
    return Listing(columns, rows, report.as_dict(), cut=("operation",))


def _row(operation: Operation, *, with_raw: bool) -> Row:
    raw = [*_cells(operation.raw), _ratio(operation.ratio)] if with_raw else []
    return (operation.name, str(operation.agents), *_cells(operation.mycelium), *raw)


def _stacked(report: Report) -> Listing:
    rows = [row for each in report.operations for row in _pair(each)]
    listing = Listing(STACKED, rows, report.as_dict(), cut=("operation",))
    return listing if report.raw is not None else _without(listing, ("ratio",))


def _pair(operation: Operation) -> Iterator[Row]:
    yield operation.name, str(operation.agents), *_cells(operation.mycelium), _ratio(operation.ratio)
    if operation.raw is not None:
        yield "  raw", "", *_cells(operation.raw), ""


def _without(listing: Listing, names: Sequence[str]) -> Listing:
    kept = [number for number, name in enumerate(listing.columns) if name not in names]
    columns, *rows = ([row[number] for number in kept] for row in (listing.columns, *listing.rows))
    return Listing(columns, rows, listing.data, cut=listing.cut)


def _width(listing: Listing) -> int:
    """Characters that the table takes."""
    columns = zip(listing.columns, *listing.rows, strict=True)
    return sum(max(map(len, column)) + BETWEEN for column in columns) - 1


def _cells(timing: Timing | None) -> Row:
    if timing is None:
        return ("-",) * len(TIMING)
    rate = "-" if timing.per_second is None else f"{timing.per_second:.0f}"
    return (f"{timing.p50:.3f}", f"{timing.p95:.3f}", f"{timing.p99:.3f}", rate)


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def of_sizes(report: Report) -> Listing:
    """What things take."""
    rows = [(each.name, _bytes(each.bytes)) for each in report.sizes]
    return Listing(("what", "takes"), rows, report.as_dict(), cut=("what",))


def _bytes(count: float) -> str:
    size, unit = next((pair for pair in UNITS if count >= pair[0]), UNITS[-1])
    return f"{count / size:.1f} {unit}"


def headline(report: Report) -> str:
    """What was measured, and beside what."""
    raw = f"; raw: {report.raw}" if report.raw is not None else ""
    calls = f"{report.calls} calls of each kind"
    return f"{report.mode}: {calls}, {report.store}, removed again; times in ms{raw}. {report.machine}"
