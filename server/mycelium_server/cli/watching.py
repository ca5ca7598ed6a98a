"""Events: the newest, or all that come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from mycelium import Mycelium
from mycelium.models import Event
from mycelium_server.cli.listings import of_events, row_of_event, words_of_event
from mycelium_server.cli.output import for_people, print_json, print_row, printable, show


async def show_events(m: Mycelium, channels: Sequence[str], *, after: int | None, limit: int, as_json: bool) -> None:
    """Print one part of the log."""
    if after is None:
        page = await m.latest_events(channels, limit=limit)
    else:
        page = await m.read_events(channels, after=after, limit=limit)
    show(of_events(page.events, page.cursor), as_json=as_json)


async def follow_events(m: Mycelium, channels: Sequence[str], *, after: int | None, as_json: bool) -> None:
    """Print each event as it comes, without end: a line each."""
    tell = _as_json if as_json else _for_people() if for_people(as_json=as_json) else _plain
    async for event in m.follow_events(channels, after=after):
        tell(event)
        sys.stdout.flush()


def _as_json(event: Event) -> None:
    print_json(event.model_dump(mode="json"), indent=None)


def _plain(event: Event) -> None:
    print_row(row_of_event(event))


def _for_people() -> Callable[[Event], None]:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def tell(event: Event) -> None:
        seq, time, channel, kind, agent, data = (printable(cell) for cell in words_of_event(event))
        where = f"{channel}  " if channel else ""
        line = Text.assemble((f"{seq:>6}", "bold"), f"  {time}  {where}", (kind, "cyan"), f"  {agent}  ", (data, "dim"))
        console.print(line, soft_wrap=True)

    return tell
