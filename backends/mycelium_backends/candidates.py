"""The stores that could be used under a configuration, the best first. Looks, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from mycelium.settings import Configuration
from mycelium.settings.addresses import public
from mycelium.settings.names import settings
from mycelium_backends.redis_url import redis_url
from mycelium_backends.sqlite.url import taskqueue_url_of, url_of

FILE: Final = "mycelium.db"
BESIDE_A_DATABASE: Final = "a database is there, too, and counts unless coordination.mode says otherwise"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A store that could be used, and what stands against it."""

    url: str
    """As it is opened. It may hold a password."""
    reason: str
    folder: Path | None = None
    """The folder that has to be made for it."""
    problem: str = ""

    @property
    def shown(self) -> str:
        """Its URL, as anybody may see it."""
        return public(self.url) if self.url.startswith("redis") else self.url


Candidates: TypeAlias = Callable[[Configuration], Iterable[Candidate]]


def _redis(config: Configuration) -> Iterable[Candidate]:
    from mycelium_backends.redis.probe import silence_of

    url = redis_url(config)
    yield Candidate(url, f"Redis, by {config.origin('coordination.redis.url')}", problem=silence_of(url))


def _redis_if_named(config: Configuration) -> Iterable[Candidate]:
    return _redis(config) if config.given("coordination.redis.url") else ()


def _markdown(config: Configuration) -> Iterable[Candidate]:
    folder = _markdown_folder(config)
    yield Candidate(f"markdown://{folder}", f"markdown files in {folder}", problem=_problem_with(folder))


def _markdown_if_there(config: Configuration) -> Iterable[Candidate]:
    if not _markdown_folder(config).is_dir():
        return
    for candidate in _markdown(config):
        if not _database(config).exists():
            yield candidate
        elif _holds_a_store(candidate):
            yield replace(candidate, problem=BESIDE_A_DATABASE)


def _holds_a_store(candidate: Candidate) -> bool:
    from mycelium_backends.markdown.place import find_place

    return find_place(candidate.url).exists()


def _markdown_if_no_database(config: Configuration) -> Iterable[Candidate]:
    # Who may not write a database that is there would leave the team that may.
    return () if _database(config).exists() else _markdown(config)


def _markdown_folder(config: Configuration) -> Path:
    return (config.project or config.cwd) / Path(config.settings.coordination.markdown.folder).expanduser()


def _sqlite(config: Configuration) -> Iterable[Candidate]:
    yield _in_file(config, url_of(_database(config)))


def _taskqueue(config: Configuration) -> Iterable[Candidate]:
    terms = config.settings.coordination.taskqueue
    yield _in_file(config, taskqueue_url_of(_database(config), **terms.model_dump()))


def _sqlite_on_its_terms(config: Configuration) -> Iterable[Candidate]:
    """SQLite; as a task queue where anybody said anything of one, so that nothing they said is passed over."""
    named = any(name.startswith("coordination.taskqueue.") and config.given(name) for name in settings())
    return _taskqueue(config) if named else _sqlite(config)


def _in_file(config: Configuration, url: str) -> Candidate:
    # Only one of the two: a project whose store cannot be written must not be split into a team for each user.
    project = config.project
    reason = f"the store of the project {project}" if project else "outside a project, this user's own store"
    return Candidate(url, reason, folder=config.folder, problem=_problem_with(config.folder))


def _database(config: Configuration) -> Path:
    return config.folder / FILE


def _memory(_: Configuration) -> Iterable[Candidate]:
    yield Candidate("memory:", "kept in this process alone")


CANDIDATES: Final[Mapping[str, Sequence[Candidates]]] = {
    "auto": (_redis_if_named, _markdown_if_there, _sqlite_on_its_terms, _markdown_if_no_database),
    "redis": (_redis,),
    "taskqueue": (_taskqueue,),
    "sqlite": (_sqlite,),
    "markdown": (_markdown,),
    "memory": (_memory,),
}
"""By mode, in the order of preference."""


def _problem_with(folder: Path) -> str:
    """Why nothing can be written in a folder that is there or is to be made; empty if it can."""
    there = next((each for each in [folder, *folder.parents] if each.exists()), folder)
    if not there.is_dir():
        return f"{there} is not a folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"this user may not write in {there}"
