"""Which Mycelium this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """The installed version; "0" where Mycelium runs from a bare checkout."""
    try:
        return version("mycelium-mcp")
    except PackageNotFoundError:
        return "0"
