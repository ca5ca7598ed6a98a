"""How much goes into one reply, whatever was asked for; the cursor leads to the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from pydantic_core import to_json

from mycelium.models import Page
from mycelium.models.base import Record

R = TypeVar("R", bound=Record)

ROOM: Final = 256 * 1024
"""Bytes of structured content for the records of one reply. A single record may be larger."""


async def full_page(ask: Callable[[int], Awaitable[Page[R]]], limit: int, fit: Callable[[list[R]], int]) -> Page[R]:
    """The page of up to `limit` records, asked for anew with fewer until as many fit as it has."""
    page = await ask(limit)
    while (count := fit(page.records)) < len(page.records):
        page = await ask(count)
    return page


def fitting(records: Iterable[dict[str, Any]]) -> int:
    """How many of the first records go into one reply."""
    return within(ROOM, (len(to_json(record)) for record in records))


def within(room: int, sizes: Iterable[int]) -> int:
    """How many of the first sizes come to `room` at most together; at least one."""
    count = total = 0
    for size in sizes:
        total += size
        if total > room:
            break
        count += 1
    return max(count, 1)
