"""`auto`: the store that fits where one stands. The same from every folder of a project."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, cast

from anyio import to_thread

from mycelium.backend import Backend, Clock
from mycelium.client import open_backend as open_url
from mycelium.errors import BackendUnavailable
from mycelium.place import Finding, Place, place_at
from mycelium_backends.fallback import Fallback

if TYPE_CHECKING:
    from pathlib import Path

    from mycelium.settings import Configuration, Surroundings
    from mycelium_backends.candidates import Candidate

log = logging.getLogger("mycelium.auto")


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

    async def open(self, clock: Clock) -> Backend:
        """Open it, making it where there is none. If it was not the first choice, say so, and have its counts say so.

        Raises:
            StoreError: it cannot be opened.
        """
        if self.tried:
            _say_once(f"Using {self.chosen.shown} ({self.reason}) instead of {'; '.join(self.tried)}")
        if self.chosen.folder is not None:
            _prepare(self.chosen.folder, self.url)
        backend = await open_url(self.url, clock)
        return cast("Backend", Fallback(backend, "; ".join(self.tried))) if self.tried else backend


def choose(surroundings: Surroundings) -> Choice:
    """The first candidate that nothing stands against. Looks at files and asks servers, and changes nothing. Blocks.

    Raises:
        InvalidConfig: a setting is wrong.
        BackendUnavailable: there is no candidate, and says what was tried; or one answers, and refuses us.
    """
    from mycelium.settings import configuration
    from mycelium_backends.candidates import CANDIDATES

    config = configuration(surroundings)
    tried: list[str] = []
    for candidates in CANDIDATES[config.settings.coordination.mode]:
        for candidate in candidates(config):
            if not candidate.problem:
                return Choice(candidate, tuple(tried))
            tried.append(f"{candidate.shown} ({candidate.reason}): {candidate.problem}")
    raise _none(config, tried)


def _none(config: Configuration, tried: Sequence[str]) -> BackendUnavailable:
    mode = "coordination.mode"
    forced = f" (mode {config.settings.coordination.mode}, by {config.origin(mode)})" if config.given(mode) else ""
    return BackendUnavailable(
        f"No store can be used here{forced}. Tried {'; '.join(tried)}.",
        hint="Mend that, or name a store with --backend or MYCELIUM_BACKEND, such as sqlite:///team.db.",
        tried=list(tried),
    )


async def open_backend(url: str, clock: Clock) -> Backend:
    """Open the store that fits here, making it where there is none. Where it is not the first choice, say so.

    Raises:
        InvalidConfig: a setting is wrong.
        BackendUnavailable: no store can be used here.
        StoreError: the one that fits cannot be opened.
    """
    from mycelium.settings import surroundings_of

    choice = await to_thread.run_sync(choose, surroundings_of(url), abandon_on_cancel=True)
    return await choice.open(clock)


@cache
def _say_once(said: str) -> None:
    """A server opens again after trouble, but the news is no news then."""
    log.warning("%s", said)


def _prepare(folder: Path, url: str) -> None:
    """Make the folder, and keep a new store in it from being committed by accident."""
    from mycelium.settings.project import FOLDER
    from mycelium_backends.candidates import FILE

    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if folder.name == FOLDER and not (folder / FILE).exists() and not ignore.exists():
            ignore.write_text(IGNORED, encoding="utf-8")
    except OSError as error:
        raise BackendUnavailable(
            f"The folder {folder} cannot be written: {error.strerror}.",
            hint="Give this user the right to, or name another store with --backend or MYCELIUM_BACKEND.",
            url=url,
        ) from error


IGNORED: Final = "*\n!config.json\n"
"""What git is told of a project's folder: the configuration is the team's, the store is this machine's."""


@dataclass(frozen=True, slots=True)
class AutoPlace:
    """The place of the chosen store, with why it was chosen. See `mycelium.place.Place` and `Chosen`."""

    choice: Choice
    place: Place | None
    """None for a store of which nothing can be seen from outside."""

    @property
    def url(self) -> str:
        return self.place.url if self.place else self.choice.chosen.shown

    @property
    def reason(self) -> str:
        return self.choice.reason

    @property
    def tried(self) -> Sequence[str]:
        return self.choice.tried

    def exists(self) -> bool:
        return self.place is None or self.place.exists()

    def examine(self) -> list[Finding]:
        return self.place.examine() if self.place else []

    async def open(self, clock: Clock) -> Backend:
        return await self.choice.open(clock)


def find_place(url: str) -> AutoPlace:
    """See `mycelium.place.FindPlace`. Blocks."""
    from mycelium.settings import surroundings_of

    choice = choose(surroundings_of(url))
    return AutoPlace(choice, place_at(choice.url))
