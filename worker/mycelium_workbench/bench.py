"""What every tool of one workbench works with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from mycelium_workbench.folder import Folder
from mycelium_workbench.settings import Limits, Settings


@dataclass(eq=False)
class Bench:
    """One workbench: its settings, and the folder that is worked in."""

    settings: Settings
    folder: Folder

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Generator[Self]:
        """Open the folder and keep it open: it stays the same one, whatever is done to its name."""
        with Folder.open(settings.root, settings.limits.file_bytes) as folder:
            yield cls(settings, folder)

    @property
    def limits(self) -> Limits:
        return self.settings.limits
