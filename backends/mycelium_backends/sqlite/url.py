"""`sqlite:///relative/path` and `sqlite:////absolute/path`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mycelium.errors import UnknownBackend

PREFIX: Final = "sqlite:///"


def path_of(url: str) -> Path:
    """The absolute path of the file that this URL names; `~` is the home folder.

    Raises:
        UnknownBackend: it is not of the form `sqlite:///path`.
    """
    path = url.removeprefix(PREFIX)
    if path == url or not path or "\0" in path:
        raise UnknownBackend(
            f"{url!r} names no file.",
            hint="Write sqlite:///team.db for a file here, sqlite:////home/ada/team.db for an absolute path.",
            url=url,
        )
    return Path(path).expanduser().absolute()


def url_of(path: Path) -> str:
    """The URL that opens this file from any folder."""
    return f"{PREFIX}{path.absolute()}"
