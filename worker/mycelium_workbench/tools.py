"""The tools, in the order in which they are listed."""

from __future__ import annotations

from typing import Final

from mycelium_workbench.analysis import analyze_code
from mycelium_workbench.commands import run_command
from mycelium_workbench.files import read_file, write_file
from mycelium_workbench.pages import browse_page
from mycelium_workbench.registry import Tool
from mycelium_workbench.search import search_files

TOOLS: Final[tuple[Tool, ...]] = (run_command, read_file, write_file, search_files, analyze_code, browse_page)
