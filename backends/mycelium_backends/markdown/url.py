"""`markdown:///absolute/folder`, `markdown:relative/folder`, and `markdown:` for the usual folder here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mycelium.errors import UnknownBackend

SCHEME: Final = "markdown:"
USUAL: Final = ".claude/coordination"
"""Where the files are unless the URL says otherwise."""


def folder_of(url: str) -> Path:
    """The absolute path of the folder that this URL names; `~` is the home folder.

    Raises:
        UnknownBackend: it is not of a form above.
    """
    path = url.removeprefix(SCHEME)
    if path.startswith("//"):
        path = path[2:]
        if path and not path.startswith(("/", "~")):
            raise _names_none(url)
    if not url.startswith(SCHEME) or "\0" in path:
        raise _names_none(url)
    path = f"/{path.lstrip('/')}" if path.startswith("/") else path
    return Path(path or USUAL).expanduser().absolute()


def _names_none(url: str) -> UnknownBackend:
    return UnknownBackend(
        f"{url!r} names no folder.",
        hint="Write markdown:notes/team for a folder here, markdown:///home/ada/team for an absolute path.",
        url=url,
    )


def url_of(folder: Path) -> str:
    """The URL that opens this folder from anywhere."""
    return f"{SCHEME}//{folder.absolute()}"
