"""Just enough of git's files to know which folders are one project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_POINTER: Final = re.compile(r"gitdir:\s*(.+?)\s*")
_WORKTREE: Final = re.compile(r"^\s*worktree\s*=\s*\"?(.+?)\"?\s*$", re.MULTILINE)


def main_folder(folder: Path) -> Path:
    """The folder that stands for the whole repository, given one of its worktrees (a folder with `.git`).

    All worktrees of a repository share their main one. A submodule is a repository of its own. What git itself
    could not follow stands for itself, and so does what points into itself: no worktree of git's does, and whoever may
    only write in this folder could choose another configuration by it.
    """
    found = _main_of(folder)
    return folder if folder.resolve() in found.resolve().parents else found


def _main_of(folder: Path) -> Path:
    git_dir = _git_dir(folder)
    common = _common_dir(git_dir)
    if common is None:
        return folder
    if common.name == ".git":
        return common.parent
    return _configured(common) or _beside(common) or common


def _git_dir(folder: Path) -> Path:
    """`.git`, or what it points to where it is a file."""
    dot_git = folder / ".git"
    found = _POINTER.fullmatch(_read(dot_git)) if dot_git.is_file() else None
    return (folder / found[1]).resolve() if found else dot_git


def _common_dir(git_dir: Path) -> Path | None:
    """The repository that a linked worktree belongs to; None for a main one."""
    said = _read(git_dir / "commondir").strip()
    common = (git_dir / said).resolve()
    return common if said and common.is_dir() else None


def _configured(common: Path) -> Path | None:
    """The main worktree of a submodule, which its repository names."""
    found = _WORKTREE.search(_read(common / "config"))
    folder = (common / found[1]).resolve() if found else None
    return folder if folder is not None and folder.is_dir() else None


def _beside(common: Path) -> Path | None:
    """The folder around a repository that its `.git` file points to."""
    return common.parent if _git_dir(common.parent) == common else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
