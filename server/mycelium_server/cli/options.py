"""The flags that commands share, and how commands open the store.

Each flag can also be set by the variable that its help names: these three under one name for all commands, every
other one under `MYCELIUM_<COMMAND>_<FLAG>`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, TypeAlias

import typer

from mycelium import Mycelium
from mycelium.errors import BackendUnavailable
from mycelium.place import Chosen, place_at
from mycelium_server.cli.settings import settled

Backend: TypeAlias = Annotated[
    str,
    typer.Option(
        "--backend",
        "-b",
        envvar="MYCELIUM_BACKEND",
        metavar="URL",
        callback=settled,
        help="Use this store: a URL such as sqlite:///FILE, a mode such as redis, or auto for the project's own.",
    ),
]
Agent: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--agent",
        envvar="MYCELIUM_AGENT",
        metavar="NAME",
        help="Work under this name. Without it, each run makes one up.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", envvar="MYCELIUM_JSON", help="Print JSON, errors included.")]
Limit: TypeAlias = Annotated[
    int, typer.Option("--limit", "-n", metavar="N", help="Print at most this many, up to 1000.")
]
Cursor: TypeAlias = Annotated[
    str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where the last listing ended, which said this.")
]


@asynccontextmanager
async def opened(
    backend: str, agent: str | None = None, *, make: bool = False, background: bool = False
) -> AsyncGenerator[Mycelium]:
    """The store, for a command that comes and goes: nothing runs in the background, unless it may stay for long.

    Raises:
        BackendUnavailable: there is no store yet, and this is not a command to `make` one.
    """
    store = backend if make else _existing(backend)
    async with Mycelium.open(store, agent=agent or "command-line", background=background) as m:
        yield m


def _existing(backend: str) -> str | Chosen:
    """What opens this store, if it is there.

    Whoever only looks, perhaps under a mistyped name, should not leave an empty store behind.
    """
    place = place_at(backend)
    if place is not None and not place.exists():
        raise BackendUnavailable(
            f"There is no store at {place.url} yet.",
            hint="The first connected agent or `mycelium create` makes it; --backend names another.",
            url=place.url,
        )
    return place if isinstance(place, Chosen) else backend
