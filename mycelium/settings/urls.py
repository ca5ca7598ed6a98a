"""`auto`, and what may stand in its place: the URLs of whoever leaves the choice to the configuration.

auto                                 what is configured, or else what is there
redis, taskqueue, sqlite, markdown   this kind, where the configuration says it is
auto:?NAME=VALUE&config=FILE         the same with settings over the configured ones, or of another file
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode

from mycelium.errors import UnknownBackend
from mycelium.settings.layers import MODE
from mycelium.settings.load import Surroundings
from mycelium.settings.model import MODES

AUTO: Final = "auto"
FILE: Final = "config"


def leaves_the_choice(url: str) -> bool:
    """Whether this URL asks the configuration, rather than name the store whole."""
    return ":" not in url or url.startswith(f"{AUTO}:")


def with_flags(word: str, flags: Mapping[str, str]) -> str:
    """The URL of a mode, or of `auto`, with these settings over the configured ones."""
    said = dict(flags) if word == AUTO else {MODE: word, **flags}
    return f"{AUTO}:?{urlencode(said)}"


def surroundings_of(url: str) -> Surroundings:
    """Those of this process, with the settings that the URL brings.

    Raises:
        UnknownBackend: it is not of one of the forms above.
    """
    word, _, query = url.partition(":")
    if word not in MODES or (query and not query.startswith("?")):
        raise UnknownBackend(
            f"{url!r} names no store.",
            hint=f"Use a URL such as sqlite:///team.db, or one of: {', '.join(MODES)}.",
            url=url,
        )
    flags = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    file = flags.pop(FILE, None)
    if word != AUTO:
        flags[MODE] = word
    return Surroundings.here(flags, Path(file) if file else None)
