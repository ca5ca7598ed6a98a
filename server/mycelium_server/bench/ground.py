"""What a run measures in: a new store, and the means to compare it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from mycelium_server.bench.team import Team

SIZES: Final = "sizes"
"""The folder, or the namespace, of the store that shows how stores grow."""


class RawTeam(Team, Protocol):
    """The bare driver."""

    says: str
    """What it is."""

    async def aclose(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """A new store, and the means to compare it."""

    kind: str
    url: str = field(repr=False)
    """It may hold a password, and so may the others."""
    shown: str
    """Where it is, as a person may read it."""
    raw: Callable[[int], RawTeam] | None
    """Makes the bare driver's team for so many agents; None where there is nothing to compare with."""
    url_of_sizes: str = field(repr=False)
    """Another new store there, to see how it grows."""
    folder: Path | None = None
    """Of this run alone, where the store is on a disk of this machine."""
    server: Any = None
    """A plain client of the server that keeps the store, where one does."""
    plain: str = field(default="", repr=False)
    """The URL of that server for such a client."""
    prefix: str = ""
    """What the keys of this run begin with in that server."""
