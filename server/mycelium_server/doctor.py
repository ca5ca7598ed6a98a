"""What Mycelium needs, looked at piece by piece. Nothing is changed, and no store is made."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from mycelium import MyceliumError
from mycelium.client import backend_for
from mycelium.client.base import checked
from mycelium.place import Finding, Place, mode_of, place_at
from mycelium_server.version import own_version

PASSED_OVER: Final = (
    "Mend that, or settle coordination.mode in the configuration, so that all of a team go to one store."
)


def examine(backend: str, agent: str | None) -> tuple[list[Finding], Place | None]:
    """Look at everything, in the order in which one thing needs the other, and say where the store is."""
    findings = [*_software(), _agent(agent)]
    try:
        findings += _configuration(backend)
    except MyceliumError as error:
        return [*findings, _failed("configuration", error)], None
    try:
        place = place_at(backend)
        if place is None:
            backend_for(backend)
            return [*findings, Finding("store", f"{backend}, of which nothing can be seen from outside")], None
        return [*findings, *_store(place)], place
    except MyceliumError as error:
        return [*findings, _failed("store", error)], None


def _software() -> Iterator[Finding]:
    yield Finding("Mycelium", own_version())
    yield Finding("Python", f"{platform.python_version()} on {sys.platform}, {sys.executable}")
    yield Finding("MCP SDK", version("mcp"))


def _agent(name: str | None) -> Finding:
    if name is None:
        return Finding("agent", "a new name for each connection")
    try:
        return Finding("agent", checked(name))
    except MyceliumError as error:
        return _failed("agent", error)


def _configuration(backend: str) -> Iterator[Finding]:
    from mycelium.settings import configuration, leaves_the_choice, surroundings_of

    if not leaves_the_choice(backend):
        yield Finding("configuration", "not asked, since the backend is a URL")
        return
    config = configuration(surroundings_of(backend))
    by_hand = sorted({str(origin) for origin in config.origins.values() if origin.kind != "file"})
    said = str(config.file) if config.file.is_file() else f"no file at {config.file}"
    yield Finding("configuration", "; ".join([said, *by_hand]))


def _store(place: Place) -> Iterator[Finding]:
    yield Finding("store", f"{place.url}: {place.reason}")
    yield Finding("mode", mode_of(place))
    for passed_over in place.tried:
        yield Finding("passed over", passed_over, "warn", PASSED_OVER)
    yield from place.examine()


def _failed(subject: str, error: MyceliumError) -> Finding:
    return Finding(subject, f"{error.code}: {error.message}", "fail", error.hint)
