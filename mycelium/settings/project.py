"""Which folder is the project around another, and the name by which its team goes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mycelium.settings.git import main_folder

FOLDER: Final = ".mycelium"
"""Holds a project's configuration, and its store where that is a file."""
COORDINATION: Final = Path(".claude", "coordination")
"""Holds a project's store where that is markdown."""
NO_PROJECT: Final = "mycelium"
"""The namespace of those who work outside every project."""
_LONGEST: Final = 64
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def project_around(cwd: Path) -> Path | None:
    """The nearest folder, from `cwd` upwards, with `.git`, `.mycelium` or `.claude/coordination`.

    For a worktree of git's, the main one: all worktrees of a repository are one project.
    """
    for folder in [cwd, *cwd.parents]:
        if (folder / ".git").exists():
            return main_folder(folder)
        if (folder / FOLDER).is_dir() or (folder / COORDINATION).is_dir():
            return folder
    return None


def namespace_of(project: Path | None) -> str:
    """The project's name, as far as it may stand in keys; for those who share a server among projects."""
    if project is None:
        return NO_PROJECT
    return _UNSAFE.sub("-", project.name)[:_LONGEST].strip("-._") or NO_PROJECT
