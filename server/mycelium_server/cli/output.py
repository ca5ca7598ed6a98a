"""People see tables and colour, pipes get lines with tabs, programs get JSON.

What is shown was written by agents, so nothing in it may reach a terminal that the terminal would obey.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STYLES: Final = {
    "pending": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "magenta",
    "skipped": "dim",
    "paused": "yellow",
    "compensating": "magenta",
    "active": "green",
    "done": "dim",
    "stopped": "magenta",
    "idle": "green",
    "busy": "cyan",
    "error": "bold red",
    "offline": "dim",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
}
"""How a cell is coloured that says just this."""
JOINERS: Final = "\u200c\u200d"
"""Not printable by themselves, but parts of words in some scripts, and of emoji."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a command found: as rows for people and pipes, as `data` for programs."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: object
    empty: str = "Nothing."
    """What people read where there are no rows."""
    more: str = ""
    """What people read below the rows."""
    cut: Collection[str] = ()
    """The columns whose text is cut where the terminal is narrow; with none, text goes on in the next line."""
    for_people: Sequence[Sequence[str]] | None = None
    """The rows as people read them, where they are better off with other words than programs."""


def for_people(*, as_json: bool) -> bool:
    """Whether a person reads this, rather than a program."""
    return not as_json and sys.stdout.isatty()


def show(listing: Listing, *, as_json: bool) -> None:
    """Print a listing in the form that suits whoever reads it."""
    if as_json:
        print_json(listing.data)
    elif for_people(as_json=as_json):
        _print_table(listing)
    else:
        for row in listing.rows:
            print_row(row)


def show_fields(fields: dict[str, str], data: object, *, as_json: bool) -> None:
    """Print one thing: a line for each of its fields that says anything."""
    rows = [(name, value) for name, value in fields.items() if value]
    show(Listing((), rows, data), as_json=as_json)


def print_json(data: object, *, indent: int | None = 2) -> None:
    """Print JSON; `indent` None gives one line."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(json.dumps(data, indent=indent, ensure_ascii=not is_unicode))


def print_row(cells: Sequence[str]) -> None:
    """Print a line of cells with tabs between them."""
    typer.echo("\t".join(printable(cell) for cell in cells))


def print_lines(text: str) -> None:
    """Print text as it is, line by line."""
    for line in text.splitlines():
        typer.echo(printable(line))


def printable(text: str) -> str:
    """The text on one line, with everything that a terminal would obey written out."""
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(char: str) -> str:
    if char.isspace():
        return " "
    if char.isprintable() or char in JOINERS:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def _print_table(listing: Listing) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not listing.rows:
        console.print(listing.empty, style="dim", markup=False)
        return
    console.print(_table(listing, console.width))
    if listing.more:
        console.print(listing.more, style="dim", markup=False)


def _table(listing: Listing, width: int) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if listing.columns else None, show_edge=False, padding=(0, 1, 0, 0))
    table.show_header = bool(listing.columns)
    rows = listing.rows if listing.for_people is None else listing.for_people
    shown = [number for number in range(len(rows[0])) if any(row[number] for row in rows)]
    for number in shown:
        name = listing.columns[number] if listing.columns else ""
        # Only a column that may wrap gives way; where cells are to be cut, each says so itself. The first one, which
        # names what the others tell of, leaves them half of the room.
        narrow = max(len(row[number]) for row in rows) <= width // 2
        kept = name not in listing.cut if listing.cut else number == 0 and narrow
        table.add_column(name, no_wrap=kept, overflow="fold", style="bold" if number == 0 else None)
    for row in rows:
        table.add_row(*(_cell(row[number], cut=bool(listing.cut)) for number in shown))
    return table


def _cell(said: str, *, cut: bool) -> Text:
    from rich.text import Text

    whole = "ellipsis" if cut else "fold"
    return Text(printable(said), style=STYLES.get(said, ""), no_wrap=cut, overflow=whole)
