"""The workbench: six tools for working on a folder, as an MCP server of their own.

Stands by itself: any MCP client may use it, and it needs no store. `build_server` gives the server, `Settings` say what
it may do.
"""

from mycelium_workbench.errors import WorkbenchError
from mycelium_workbench.settings import Limits, Settings

__all__ = ["Limits", "Settings", "WorkbenchError"]
