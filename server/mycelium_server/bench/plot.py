"""A report as a picture: bars of calls in a second, in SVG that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from mycelium_server.bench.figures import Operation, Report, Timing

WIDTH: Final = 760
LEFT: Final = 190
"""Where the bars begin; the names stand before."""
ROOM: Final = 150
"""What the numbers behind the longest bar need."""
BAR: Final = 16
TOP: Final = 64
OURS: Final = "#0f766e"
RAW: Final = "#a8a29e"


def draw(report: Report) -> str:
    """The operations that were made as fast as they could be, by all agents at once."""
    shown = [each for each in report.operations if each.load == "together"]
    longest = max((rate for each in shown for rate in _rates(each)), default=1.0)
    parts = [*_heading(report)]
    y = TOP
    for each in shown:
        parts += _group(each, y, longest)
        y += BAR * (2 if each.raw is None else 3) + 4
    return _svg(parts, y + 8)


def _rates(operation: Operation) -> Iterator[float]:
    yield from (each.per_second for each in (operation.mycelium, operation.raw) if each and each.per_second)


def _heading(report: Report) -> Iterator[str]:
    yield _text(16, 24, f"mycelium bench: {report.mode}, {report.agents} agents at once, calls per second", bold=True)
    yield f'<rect x="16" y="36" width="10" height="10" fill="{OURS}"/>'
    yield _text(32, 45, "Mycelium")
    if report.raw is not None:
        yield f'<rect x="110" y="36" width="10" height="10" fill="{RAW}"/>'
        yield _text(126, 45, report.raw)


def _group(operation: Operation, y: int, longest: float) -> Iterator[str]:
    yield _text(16, y + 12, operation.name)
    yield from _bar(operation.mycelium, y, longest, OURS)
    if operation.raw is not None:
        yield from _bar(operation.raw, y + BAR, longest, RAW)


def _bar(timing: Timing, y: int, longest: float, colour: str) -> Iterator[str]:
    rate = timing.per_second or 0.0
    length = (WIDTH - LEFT - ROOM) * rate / longest
    yield f'<rect x="{LEFT}" y="{y}" width="{max(1, length):.1f}" height="{BAR - 3}" fill="{colour}"/>'
    yield _text(LEFT + length + 6, y + 11, f"{rate:,.0f}/s, p50 {timing.p50:.2f} ms")


def _text(x: float, y: float, said: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{weight}>{escape(said)}</text>'


def _svg(parts: list[str], height: int) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="ui-sans-serif, system-ui, sans-serif" font-size="12" fill="#1c1917">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )
