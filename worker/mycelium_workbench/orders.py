"""What a command's keeper is told, and what it says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from mycelium_workbench.bench import Bench
from mycelium_workbench.helper import words

REPORTED: Final[Mapping[str, tuple[type, ...]]] = {
    "exit_code": (int,),
    "stopped": (str, type(None)),
    "failed": (str,),
}
"""What a keeper says of a command."""


def order(
    bench: Bench, command: str, folder: str, covered: list[str], limit: float, home: str, report: int, *, walled: bool
) -> list[str]:
    """The keeper's command line, with the order in it."""
    settings, limits = bench.settings, bench.limits
    said = {
        "command": command,
        "folder": folder,
        "root": str(settings.root),
        "root_fd": bench.folder.fd,
        "environment": _environment(home, walled=walled),
        "readable": [*_interpreter(), *(str(each) for each in settings.readable)],
        "guarded": bench.guarded,
        "hidden": covered,
        "walls": walled,
        "network": settings.network,
        "seconds": limit,
        "memory": limits.memory_bytes,
        "processes": limits.processes,
        "file_bytes": limits.command_file_bytes,
        "report": report,
        "parent": os.getpid(),
    }
    return words("keeper", json.dumps(said))


def _interpreter() -> list[str]:
    """Where this Python and what is installed beside it lie, which commands may want."""
    return list(dict.fromkeys(os.path.realpath(each) for each in (sys.base_prefix, sys.prefix) if each != "/usr"))


def _environment(home: str, *, walled: bool) -> Mapping[str, str]:
    """All that a command gets to know: nothing of what this process was told."""
    from mycelium_workbench.walls import HOME

    return {
        # This Python comes last, for where those of the path are out of sight.
        "PATH": ":".join([os.environ.get("PATH") or os.defpath, *(f"{each}/bin" for each in _interpreter())]),
        "HOME": HOME if walled else home,
        "TMPDIR": "/tmp" if walled else home,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }


def reported(fd: int) -> dict[str, Any]:
    """What a keeper said, as far as it is of the types that it says; nothing if it is nothing."""
    os.set_blocking(fd, False)
    with suppress(BlockingIOError, ValueError, TypeError, AttributeError):
        said: Mapping[str, Any] = json.loads(os.read(fd, 4096))
        return {name: value for name, value in said.items() if name in REPORTED and type(value) in REPORTED[name]}
    return {}
