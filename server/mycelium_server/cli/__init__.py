"""The command `mycelium`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line in `sys.argv`, and end the process with its exit code."""
    from mycelium_server.cli.app import app
    from mycelium_server.cli.run import run

    sys.exit(run(app, sys.argv[1:]))
