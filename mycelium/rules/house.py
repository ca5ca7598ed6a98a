"""One client at a time keeps house: whose turn it is, and how far it has got."""

from __future__ import annotations

from mycelium.models import HOUSE, Keeper
from mycelium.rules.view import Change, View


def take_house(view: View, holder: str, *, agent: str, seen: int) -> Change[Keeper | None]:
    """Become the housekeeper, if nobody has changed its record since version `seen` (0: there was none)."""
    before = view.get(Keeper, HOUSE)
    if (before.version if before else 0) != seen:
        return Change(None)
    now = view.now
    if before is None:
        taken = Keeper(holder=holder, agent=agent, since=now, at=now)
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


def leave_house(view: View, holder: str) -> Change[None]:
    """Let somebody else keep house."""
    before = view.get(Keeper, HOUSE)
    if before is None or before.holder != holder:
        return Change(None)
    return Change(None, puts=(before.changed(holder=None, at=view.now),))
