"""Programs of our own that are run beside the server: what they do can take for ever, and is then ended."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Literal

PACKAGES: Final = str(Path(__file__).parents[1])


def words(program: Literal["keeper", "reader", "searcher"], argument: str) -> list[str]:
    """The command line of one of them, which sees this package and the standard library."""
    start = (
        f"import sys; sys.path.insert(0, sys.argv[1]); from mycelium_workbench.{program} import main; main(sys.argv[2])"
    )
    return [sys.executable, "-I", "-S", "-c", start, PACKAGES, argument]
