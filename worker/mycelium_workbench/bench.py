"""What every tool of one workbench works with."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import anyio

from mycelium_workbench.errors import NoWalls, Protected
from mycelium_workbench.folder import Folder
from mycelium_workbench.hidden import NAME, folders_below, with_companions
from mycelium_workbench.own import guarded, is_within
from mycelium_workbench.settings import Limits, Settings

MOST_COMMANDS: Final = 4
MOST_BROWSERS: Final = 2


@dataclass(eq=False)
class Bench:
    """One workbench: its settings, the folder that is worked in, and what is known of this system's walls."""

    settings: Settings
    folder: Folder
    guarded: tuple[str, ...]
    """What of the folder no tool may change."""
    hidden: tuple[str, ...]
    """What of it no tool may see, by its way from the root, besides every folder `.mycelium`."""
    _folders: set[str] = field(default_factory=set[str])
    _obstacle: str | None = None
    _told: bool = False
    commands: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MOST_COMMANDS))
    browsers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MOST_BROWSERS))
    """Those that run now. Others wait, and their time does not begin."""
    _trying: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Generator[Self]:
        """Open the folder and keep it open: it stays the same one, whatever is done to its name."""
        kept, hidden = guarded(settings.root), _hidden(settings)
        with Folder.open(settings.root, settings.limits.file_bytes, kept, hidden) as folder:
            readable = tuple(Path(os.path.realpath(each)) for each in settings.readable if each.is_dir())
            yield cls(replace(settings, root=folder.root, readable=readable), folder, kept, hidden)

    @property
    def limits(self) -> Limits:
        return self.settings.limits

    def covered(self) -> list[str]:
        """The real paths that a command must not see now. Takes a while in a folder of many files.

        Raises:
            Protected: a link stands in such a place, which nothing can cover.
        """
        root = str(self.folder.root)
        if os.path.islink(os.path.join(root, NAME)):
            raise Protected(
                f"{NAME} is a link here, which commands could replace, so none is run.",
                hint="Make it a folder, or work in another one.",
            )
        self._folders.update(folders_below(root))  # kept: a flood of folders made later must not uncover one
        named = (os.path.join(root, each) for each in self.hidden)
        return sorted(each for each in {*self._folders, *named} if os.path.lexists(each))

    async def walled(self) -> bool:
        """Whether commands run behind walls: always where this system has them. Tried once.

        Raises:
            NoWalls: it has none, and nobody said that commands may run without.
        """
        from mycelium_workbench.running import try_walls

        async with self._trying:
            if self._obstacle is None:
                self._obstacle = await try_walls(self)
        if self._obstacle and not self.settings.unconfined:
            raise NoWalls(
                f"This system has no walls for commands ({self._obstacle}), so none is run.",
                hint="Start the workbench with --unconfined (a worker's: in an MCP file) to run commands with all that "
                "its user may do.",
                reason=self._obstacle,
            )
        return not self._obstacle

    def first_words(self) -> str:
        """What holds for commands, for the first of them; empty for the others."""
        if self._told:
            return ""
        self._told = True
        return self._unwalled_words() if self._obstacle else self._walled_words()

    def _walled_words(self) -> str:
        network = "on" if self.settings.network else "off"
        return (
            f"Walls: {self.folder.root} can be written, the system read, nothing else seen. Network {network}. "
            f"{self._limits()}, {_how_counted()}.{_as_root()}"
        )

    def _unwalled_words(self) -> str:
        return (
            f"NO WALLS here ({self._obstacle}): commands reach all files and networks that this user does. "
            f"{self._limits()}, {'held by the kernel' if os.geteuid() else 'only counted, since nothing holds root'}."
        )

    def _limits(self) -> str:
        limits = self.limits
        return f"Limits: {limits.seconds:g} s, {limits.memory_mb} MiB, {limits.processes} processes"


def _hidden(settings: Settings) -> tuple[str, ...]:
    """Those below the root, as they are called from there."""
    root = os.path.realpath(settings.root)
    places = (place for each in settings.hidden for place in with_companions(os.path.realpath(each)))
    return tuple(os.path.relpath(each, root) for each in places if is_within(each, root) and each != root)


def _as_root() -> str:
    from mycelium_workbench import modes

    if os.geteuid() != 0:
        return ""
    held = "none of them setuid" if modes.are_held() else "setuid ones too, since this processor is not known"
    return f" Files that commands make are root's, {held}."


def _how_counted() -> str:
    from mycelium_workbench import walls

    if walls.counts_by_namespace():
        return "held by the kernel (RLIMIT_NPROC)"
    if walls.has_own_highest_pid():
        return f"held by the kernel (pid_max, {walls.RESERVED_PIDS} more) and counted every 50 ms"
    return "counted every 50 ms"
