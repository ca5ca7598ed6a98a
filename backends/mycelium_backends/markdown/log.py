"""`events.md`: one line for each event, only ever added to. Other lines are people's.

One line each, none like another, so that git's union merge of two branches that both added events keeps every line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mycelium.errors import InvalidInput, SchemaTooNew
from mycelium.models import Event, validated
from mycelium_backends.markdown.opening import read_from

NAME: Final = "events.md"
FORMAT: Final = 1
"""The number of the folder's format, which the log's front matter says."""
HEAD: Final = f"""---
format: {FORMAT}
---

# Events

Mycelium adds a line for each event: number, time, channel, type, source, data, id. Write notes elsewhere.

"""
BARE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._+-]*")
LINE: Final = re.compile(r'- (\d{1,19}) (\S+) (\S+) ("(?:[^"\\]|\\.)*"|\S+) (\S+) (?=\{)')
LOOKS: Final = re.compile(rb"- \d+ ")
SAID: Final = re.compile(rb"---\n(?:[^\n]*\n)*?format: *(\d{1,9})[^\n]*\n")
LAST: Final = 2**62
"""The highest number of an event that is believed: what follows it has to have numbers, too."""
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Unparsable:
    """A line that looks like an event and is none."""

    number: int
    text: str


def line_of(event: Event) -> str:
    """The event as a line."""
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    where = f"{event.seq} {event.time.isoformat()} {event.channel}"
    return f"- {where} {_token(event.type)} {event.source or '-'} {data} {_token(event.id)}\n"


def _token(text: str) -> str:
    return text if BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False).replace(" ", "\\u0020")


def parse(line: str) -> Event:
    """The event that a line tells.

    Raises:
        ValueError, InvalidInput: it tells none.
    """
    found = LINE.match(line)
    if found is None:
        raise ValueError(line)
    data, end = _DECODER.raw_decode(line, found.end())
    seq, time, channel, type, source = found.groups()
    if int(seq) > LAST:
        raise ValueError(line)
    fields: dict[str, Any] = {
        "seq": int(seq), "time": time, "channel": channel, "type": _text(type),
        "source": None if source == "-" else source, "data": data, "id": _text(line[end:].strip()),
    }  # fmt: skip
    return validated(Event, **fields)


def _text(token: str) -> str:
    if not token:
        raise ValueError(token)
    return str(json.loads(token)) if token.startswith('"') else token


def events_in(path: Path) -> Iterator[Event | Unparsable]:
    """What the lines of a log say, in the order of the file, a line at a time."""
    with read_from(path) as lines:
        for number, line in enumerate(lines, 1):
            if LOOKS.match(line) is None:
                continue
            try:
                yield parse(line.decode())
            except (ValueError, RecursionError, InvalidInput):
                yield Unparsable(number, line[:60].decode(errors="replace").rstrip())


def numbered(events: Iterable[Event], last: int, known: Callable[[str], bool]) -> Iterator[Event]:
    """The events that are not known yet, each with a number above all before it.

    What the file says is kept where it can be. Where two branches numbered their events alike, those that stand
    later in the file get the next free numbers.
    """
    seen: set[str] = set()
    for event in events:
        if event.id in seen or known(event.id):
            continue
        seen.add(event.id)
        last = max(last + 1, event.seq)
        yield event if event.seq == last else event.model_copy(update={"seq": last})


def check_format(path: Path) -> None:
    """Look whether this Mycelium knows the folder's format.

    Raises:
        SchemaTooNew: a newer Mycelium made it.
        StoreDamaged: the log is no regular file.
    """
    with read_from(path) as log:
        found = SAID.match(log.read(4096))
    if found is not None and int(found[1]) > FORMAT:
        raise SchemaTooNew(
            f"The folder {path.parent} has format {int(found[1])}, this Mycelium knows {FORMAT}.",
            hint="Update Mycelium (mycelium-mcp) here to at least the version that last used this folder.",
            path=str(path.parent),
            schema=int(found[1]),
        )
