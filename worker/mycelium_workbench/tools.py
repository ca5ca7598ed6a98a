"""The tools, in the order in which they are listed."""

from __future__ import annotations

from typing import Final

from mycelium_workbench.analysis import analyze_code
from mycelium_workbench.registry import Tool

TOOLS: Final[tuple[Tool, ...]] = (analyze_code,)
