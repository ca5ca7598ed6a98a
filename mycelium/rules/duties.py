"""One client at a time does a duty, to keep house above all: whose turn it is, and how far it has got."""

from __future__ import annotations

from collections.abc import Mapping

from mycelium.models import HOUSE, Keeper
from mycelium.rules.view import Change, View


def take_duty(view: View, duty: str, holder: str, *, agent: str, seen: int) -> Change[Keeper | None]:
    """Become its keeper, if nobody has changed the record since version `seen` (0: there was none)."""
    before = view.get(Keeper, duty)
    if (before.version if before else 0) != seen:
        return Change(None)
    now = view.now
    if before is None:
        taken = Keeper(duty=duty, holder=holder, agent=agent, since=now, at=now)
    else:
        taken = before.changed(holder=holder, agent=agent, since=now, at=now)
    return Change(taken, puts=(taken,))


def keep_house(
    view: View, holder: str | None, *, cursor: int, expired: int = 0, fired: int = 0
) -> Change[Keeper | None]:
    """Say that the housekeeper is there, how far it has read, and what more it did. None where it was relieved.

    Without a holder, who does the work once and is not elected notes down the same.
    """
    before = view.get(Keeper, HOUSE)
    if holder is not None and (before is None or before.holder != holder):
        return Change(None)
    if holder is None and before is not None and before.holder is not None:
        return Change(before)  # each change of its record says that the housekeeper is there
    before = before or Keeper(since=view.now, at=view.now, version=1)
    noted = {
        "cursor": max(cursor, before.cursor),
        "expired": before.expired + expired,
        "fired": before.fired + fired,
        **({"at": view.now} if holder is not None else {}),
    }
    kept = before.changed(**noted)
    return Change(kept, puts=(kept,))


def keep_duty(view: View, duty: str, holder: str, *, cursors: Mapping[str, int]) -> Change[Keeper | None]:
    """Say that its keeper is there, and how far each part of it has got. None where it was relieved."""
    before = view.get(Keeper, duty)
    if before is None or before.holder != holder:
        return Change(None)
    kept = before.changed(cursors={**before.cursors, **cursors}, at=view.now)
    return Change(kept, puts=(kept,))


def leave_duty(view: View, duty: str, holder: str) -> Change[None]:
    """Let somebody else do it."""
    before = view.get(Keeper, duty)
    if before is None or before.holder != holder:
        return Change(None)
    return Change(None, puts=(before.changed(holder=None, at=view.now),))
