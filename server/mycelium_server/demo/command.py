"""How one process of the demo starts another."""

from __future__ import annotations

import sys


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours, safe from modules of the same name in the working folder."""
    return [sys.executable, "-P", "-m", module, *arguments]
