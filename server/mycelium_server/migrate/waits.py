"""What each foreign task waits for, here."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TypeAlias

from mycelium.errors import InvalidInput
from mycelium_server.migrate.foreign import Foreign, ForeignGroup, ForeignTask, unusable
from mycelium_server.migrate.ids import Names

Waits: TypeAlias = dict[str, list[str]]
"""For each task, by its id here, those it waits for."""


def waits_of(foreign: Foreign, group: ForeignGroup, names: Names) -> Waits:
    """What the tasks of a group wait for: each task after all of those.

    Besides what the file says, a task waits for its parts that are not cancelled, a part for whatever the whole waits
    for, and where all are in a row, each for the one before; but never where that would make a task wait for itself.

    Raises:
        InvalidInput: the file says that a task waits for one that is not there, or for itself by way of others.
    """
    said = {names.tasks[task.id]: list(_said(foreign, task, names)) for task in group.tasks}
    if circle := _circle(said):
        raise _circular(foreign, circle[::-1])
    implied = _implied(group, names, said)
    while circle := _circle(_both(said, implied)):
        for before, after in pairwise(circle):
            implied[after] = [other for other in implied[after] if other != before]
    waits = _both(said, implied)
    return {id: waits[id] for id in TopologicalSorter(waits).static_order()}


def _said(foreign: Foreign, task: ForeignTask, names: Names) -> Iterator[str]:
    for key in task.depends_on:
        found = names.find(key)
        if found is None:
            where, id = task.file or foreign.file, names.tasks[task.id]
            raise unusable(where, f"task {id} depends on {key}, which is not there", task=id)
        yield found


def _implied(group: ForeignGroup, names: Names, said: Waits) -> Waits:
    implied: Waits = {id: [] for id in said}
    wholes = {names.tasks[task.id]: whole for task in group.tasks if (whole := names.find(task.parent or ""))}
    for task in group.tasks:
        part = names.tasks[task.id]
        if part in wholes and task.standing != "cancelled":
            implied[wholes[part]].append(part)
        for whole in _above(part, wholes):
            implied[part] += said[whole]
    if group.in_a_row:
        for before, after in pairwise(said):
            implied[after].append(before)
    return implied


def _above(part: str, wholes: dict[str, str]) -> Iterator[str]:
    """What it is a part of, at all levels, also where a file makes something a part of itself."""
    met = {part}
    while (part := wholes.get(part, "")) and part not in met:
        met.add(part)
        yield part


def _both(said: Waits, implied: Waits) -> Waits:
    return {id: list(dict.fromkeys([*said[id], *implied[id]])) for id in said}


def _circle(waits: Waits) -> list[str]:
    """Tasks of which each waits for the one before, and the first is the last; none where there is no circle."""
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def _circular(foreign: Foreign, circle: list[str]) -> InvalidInput:
    shown = [*circle[:9], "...", circle[-1]] if len(circle) > 10 else circle
    return unusable(foreign.file, f"task {shown[0]} waits on itself: {' -> '.join(shown)}", tasks=circle)
