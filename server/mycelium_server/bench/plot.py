"""A report as a picture: bars of calls in a second, and of how long calls take, in SVG that loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from mycelium_server.bench.figures import Load, Operation, Report, Timing

WIDTH: Final = 760
LEFT: Final = 190
"""Where the bars begin; the names stand before."""
ROOM: Final = 230
"""What the numbers behind the longest bar need."""
BAR: Final = 16
TOP: Final = 84
"""Where the first bars begin, below the heading and the title of their panel."""
BETWEEN: Final = 40
"""From the bars of one panel to those of the next."""
OURS: Final = "#0f766e"
RAW: Final = "#a8a29e"


@dataclass(frozen=True, slots=True)
class Panel:
    """What bars show, and of which operations."""

    title: str
    load: Load
    bar: Callable[[Timing], float]
    tail: Callable[[Timing], float]
    """Where the thin line behind the bar ends."""
    says: Callable[[Timing], str]


def draw(report: Report) -> str:
    """The calls in a second of all agents at once, and the times of one agent's calls, one after another."""
    parts = [*_heading(report)]
    y = TOP
    for panel in _panels(report.agents):
        shown = [each for each in report.operations if each.load == panel.load]
        parts += _drawn(panel, shown, y)
        y += sum(map(_height, shown)) + BETWEEN
    return _svg(parts, y - BETWEEN + 8)


def _panels(agents: int) -> Sequence[Panel]:
    together = f"calls per second, {agents} agents at once" if agents > 1 else "calls per second, 1 agent"
    return (
        Panel(together, "together", _rate, _rate, lambda each: f"{_rate(each):,.0f}/s, {_times(each)}"),
        Panel(
            "milliseconds of one agent's calls: the bar ends at p50, the line at p99",
            "alone",
            lambda each: each.p50,
            lambda each: each.p99,
            _times,
        ),
    )


def _rate(timing: Timing) -> float:
    return timing.per_second or 0.0


def _times(timing: Timing) -> str:
    return f"p50 {timing.p50:.2f}, p99 {timing.p99:.2f} ms"


def _heading(report: Report) -> Iterator[str]:
    yield _text(16, 24, f"mycelium bench: {report.mode}", bold=True)
    yield f'<rect x="16" y="36" width="10" height="10" fill="{OURS}"/>'
    yield _text(32, 45, "Mycelium")
    if report.raw is not None:
        yield f'<rect x="110" y="36" width="10" height="10" fill="{RAW}"/>'
        yield _text(126, 45, report.raw)


def _drawn(panel: Panel, shown: Sequence[Operation], y: int) -> Iterator[str]:
    yield _text(16, y - 10, panel.title, bold=True)
    longest = max((panel.tail(timing) for each in shown for timing, _ in _bars(each)), default=0.0) or 1.0
    for each in shown:
        yield _text(16, y + 12, each.name)
        for number, (timing, colour) in enumerate(_bars(each)):
            yield from _bar(panel, timing, y + number * BAR, (WIDTH - LEFT - ROOM) / longest, colour)
        y += _height(each)


def _bars(operation: Operation) -> Sequence[tuple[Timing, str]]:
    ours = (operation.mycelium, OURS)
    return [ours] if operation.raw is None else [ours, (operation.raw, RAW)]


def _height(operation: Operation) -> int:
    return BAR * (len(_bars(operation)) + 1) + 4


def _bar(panel: Panel, timing: Timing, y: int, scale: float, colour: str) -> Iterator[str]:
    bar, tail = (max(1.0, value * scale) for value in (panel.bar(timing), panel.tail(timing)))
    yield f'<rect x="{LEFT}" y="{y}" width="{bar:.1f}" height="{BAR - 3}" fill="{colour}"/>'
    if tail > bar:
        yield f'<rect x="{LEFT}" y="{y + BAR / 2 - 2:.1f}" width="{tail:.1f}" height="1" fill="{colour}"/>'
    yield _text(LEFT + tail + 6, y + 11, panel.says(timing))


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
