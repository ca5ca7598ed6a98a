"""The demo's worker: `mycelium worker`, which also ends when whoever started it closes its stdin.

`python -m mycelium_server.demo.worker OPTION...` takes the options of that command, and adds the types of tasks that
are the worker's: calls of tools, and the report's summary where a model is configured.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from mycelium.errors import MyceliumError
from mycelium_server.cli import main as command
from mycelium_server.demo.analysis import TOOL
from mycelium_server.demo.hired import MODEL
from mycelium_server.demo.survey import SUMMARY


def main() -> None:
    """Run the worker until a signal comes, or the end of stdin."""
    # A daemon, and not through sys.stdin: the interpreter ends without waiting for it.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    types = [TOOL, SUMMARY]
    if not _has_model():
        types = [TOOL]
        os.environ.pop(MODEL, None)  # whatever is wrong with it: nobody is going to ask it
    sys.argv = ["mycelium", "worker", *sys.argv[1:], *(word for type in types for word in ("--type", type))]
    command()


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _has_model() -> bool:
    from mycelium.settings import Surroundings, configuration
    from mycelium_server.assembly.worker import configured_model

    try:
        return configured_model(configuration(Surroundings.here()).settings) is not None
    except MyceliumError as error:
        sys.stderr.write(f"There is no model: {error}\n")
        return False


if __name__ == "__main__":
    main()
