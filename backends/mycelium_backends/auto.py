"""`auto`: the store that fits where one stands. The same from every folder of a project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mycelium.backend import Backend, Clock
from mycelium.client import open_backend as open_url
from mycelium.errors import BackendUnavailable
from mycelium.place import Finding, Place, place_at
from mycelium_backends.git import main_folder

FOLDER: Final = ".mycelium"
FILE: Final = "mycelium.db"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that the choice depends on, apart from the files themselves."""

    cwd: Path
    data_folder: Path
    """Where this user's programs keep their data."""

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        from platformdirs import user_data_path

        return cls(cwd=Path.cwd(), data_folder=user_data_path("mycelium", appauthor=False))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A store that could be used, and what stands against it."""

    url: str
    reason: str
    folder: Path | None = None
    """The folder that has to be made for it."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The store that is used, and those that were passed over, with what stood against them."""

    chosen: Candidate
    tried: Sequence[str] = ()

    @property
    def url(self) -> str:
        return self.chosen.url

    @property
    def reason(self) -> str:
        return self.chosen.reason


def choose(surroundings: Surroundings) -> Choice:
    """The first candidate that nothing stands against. Looks at files, and changes none.

    Raises:
        BackendUnavailable: there is none; says what was tried.
    """
    tried: list[str] = []
    for candidates in CANDIDATES:
        for candidate in candidates(surroundings):
            if not candidate.problem:
                return Choice(candidate, tuple(tried))
            tried.append(f"{candidate.url} ({candidate.reason}): {candidate.problem}")
    raise BackendUnavailable(
        f"No store can be used here. Tried {'; '.join(tried)}.",
        hint="Mend that, or name a store with --backend or MYCELIUM_BACKEND, such as sqlite:///team.db.",
        tried=tried,
    )


def _sqlite(surroundings: Surroundings) -> Iterable[Candidate]:
    # Only one of the two: a project whose store cannot be written must not be split into a team for each user.
    project = project_around(surroundings.cwd)
    if project is None:
        yield _in_folder(surroundings.data_folder, "outside a project, this user's own store")
    else:
        yield _in_folder(project / FOLDER, f"the store of the project {project}")


CANDIDATES: Final[Sequence[Callable[[Surroundings], Iterable[Candidate]]]] = (_sqlite,)
"""In the order of preference."""


def project_around(cwd: Path) -> Path | None:
    """The nearest folder, from `cwd` upwards, with `.git` or `.mycelium`; for a worktree, the main one."""
    for folder in [cwd, *cwd.parents]:
        if (folder / ".git").exists():
            return main_folder(folder)
        if (folder / FOLDER).is_dir():
            return folder
    return None


def _in_folder(folder: Path, reason: str) -> Candidate:
    return Candidate(f"sqlite:///{folder / FILE}", reason, folder=folder, problem=_problem_with(folder))


def _problem_with(folder: Path) -> str:
    """Why nothing can be written in a folder that is there or is to be made; empty if it can."""
    there = next((each for each in [folder, *folder.parents] if each.exists()), folder)
    if not there.is_dir():
        return f"{there} is not a folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"this user may not write in {there}"


async def open_backend(url: str, clock: Clock) -> Backend:
    """Open the store that fits here, making it where there is none.

    Raises:
        BackendUnavailable: no store can be used here.
        StoreError: the one that fits cannot be opened.
    """
    chosen = choose(Surroundings.here()).chosen
    if chosen.folder is not None:
        _prepare(chosen.folder, chosen.url)
    return await open_url(chosen.url, clock)


def _prepare(folder: Path, url: str) -> None:
    """Make the folder, and keep a new store in it from being committed by accident."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if folder.name == FOLDER and not (folder / FILE).exists() and not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise BackendUnavailable(
            f"The folder {folder} cannot be written: {error.strerror}.",
            hint="Give this user the right to, or name another store with --backend or MYCELIUM_BACKEND.",
            url=url,
        ) from error


@dataclass(frozen=True, slots=True)
class AutoPlace:
    """The place of the chosen store, with why it was chosen."""

    place: Place
    choice: Choice

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def reason(self) -> str:
        return self.choice.reason

    @property
    def tried(self) -> Sequence[str]:
        return self.choice.tried

    def exists(self) -> bool:
        return self.place.exists()

    def examine(self) -> list[Finding]:
        return self.place.examine()


def find_place(url: str) -> AutoPlace:
    """See `mycelium.place.FindPlace`."""
    choice = choose(Surroundings.here())
    place = place_at(choice.url)
    assert place is not None, "every candidate has a place"
    return AutoPlace(place, choice)
