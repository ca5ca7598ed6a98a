"""Who does which type of tasks: what is installed under `mycelium.executors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from mycelium_worker.executor import Executor, TaskFailed

GROUP: Final = "mycelium.executors"
OTHERS: Final = "*"
"""The name of the one who does all other types, by asking a model."""
OURS: Final = "mycelium_worker."


class Executors:
    """Finds the executor for a type of tasks, and imports it when the first such task comes.

    What another package registers goes before what is ours.
    """

    def __init__(self, given: Mapping[str, Executor] | None = None) -> None:
        """Those that are installed, or only those that are `given`."""
        self._loaded: dict[str, Executor] = dict(given or {})
        self._installed: dict[str, EntryPoint] = {} if given is not None else _installed()

    @property
    def types(self) -> Sequence[str]:
        """The types that somebody does without being asked for anything else."""
        return sorted({*self._loaded, *self._installed} - {OTHERS})

    @property
    def has_default(self) -> bool:
        """Whether somebody does all other types, given a model."""
        return OTHERS in self._loaded or OTHERS in self._installed

    def can(self, type: str, *, model: bool) -> bool:
        """Whether tasks of this type can be done, with a model or without."""
        return type in self.types or (model and self.has_default)

    def find(self, type: str, *, model: bool) -> Executor:
        """The executor for this type.

        Raises:
            TaskFailed: nobody does it here, or whoever should cannot be imported.
        """
        known = self._loaded.get(type)
        if known is not None and type != OTHERS:
            return known
        if not self.can(type, model=model):
            there_are = ", ".join(self.types) or "none"
            raise TaskFailed(
                f"Nobody here does tasks of type {type!r}; of those that need no model, there are: {there_are}.",
                code="no_executor",
            )
        name = type if type in self.types else OTHERS
        if name not in self._loaded:
            self._loaded[name] = _load(self._installed[name])
        return self._loaded[name]


def _installed() -> dict[str, EntryPoint]:
    found = entry_points(group=GROUP)
    return {each.name: each for each in sorted(found, key=lambda each: not each.value.startswith(OURS))}


def _load(found: EntryPoint) -> Executor:
    try:
        return cast("Executor", found.load())
    except Exception as error:  # the boundary to other packages: whatever their import does is told with the task
        raise TaskFailed(
            f"The executor {found.value!r} cannot be loaded: {error}", code="executor_broken", type=type(error).__name__
        ) from error
