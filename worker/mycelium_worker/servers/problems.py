"""What can be wrong with an MCP file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from mycelium_worker.servers.json_places import Field, Fields, Place


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    at: Place
    says: str
    server: str | None = None


def near(key: str, known: Iterable[str]) -> str | None:
    """The key that was meant, perhaps."""
    by_folded = {each.casefold(): each for each in known}
    found = get_close_matches(key.casefold(), by_folded, n=1, cutoff=0.75)
    return by_folded[found[0]] if found else None


def once(fields: Fields, problems: list[Problem], kind: str = "", server: str | None = None) -> dict[str, Field]:
    """The fields by their keys, each of which may stand there once."""
    kept: dict[str, Field] = {}
    for field in fields.all:
        if (first := kept.setdefault(field.key, field)) is not field:
            says = f"{kind}{field.key!r} is there twice, first on line {first.at.line}: leave one of them out"
            problems.append(Problem(field.at, f"server {server!r}: {says}" if server else says, server or field.key))
    return kept
